//! `instance <data folder>`: one process of the API that works nothing off, for tests of several. It prints
//! `listening <address>` and runs until its standard input ends.

use std::error::Error;
use std::io;

use local::{DataFolder, Settings};
use shared::config::{TelemetryConfig, Variables};
use shared::telemetry;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: instance <data folder>")?;
    let defaults = Variables::from_pairs([("LOG_LEVEL", "warn,dynoxide=error")]);
    let variables = Variables::from_process().or(&defaults);
    telemetry::init(&TelemetryConfig::from_variables(&variables)?)?;

    let settings = Settings::from_variables(DataFolder::open(folder)?, 0, variables)?;
    let running = local::start(&Settings { workers: false, ..settings }).await?;
    println!("listening {}", running.url());
    tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await??;
    running.stop().await;
    Ok(())
}
