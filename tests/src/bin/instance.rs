//! `instance <data folder> [workers]`: one process of the API, for tests of several. It works nothing off unless told so,
//! prints `listening <address>` and runs until its standard input ends.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use local::{DataFolder, Settings};
use shared::config::{TelemetryConfig, Variables};
use shared::telemetry;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // The workers in this process start it again to read a file.
    match ingest::extract_if_told() {
        Some(code) => Ok(code),
        None => serve().map(|()| ExitCode::SUCCESS),
    }
}

#[tokio::main]
async fn serve() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: instance <data folder> [workers]")?;
    let defaults = Variables::from_pairs([("LOG_LEVEL", "warn,dynoxide=error")]);
    let variables = Variables::from_process().or(&defaults);
    let telemetry = telemetry::init(&TelemetryConfig::from_variables(&variables)?)?;
    tokio::spawn(telemetry.clone().keep_sending());

    let settings = Settings::from_variables(DataFolder::open(folder)?, 0, variables)?;
    let workers = std::env::args_os().nth(2).is_some_and(|word| word == "workers");
    let running = local::start(&Settings { workers, ..settings }).await?;
    println!("listening {}", running.url());
    tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await??;
    running.stop().await;
    telemetry.flush().await;
    Ok(())
}
