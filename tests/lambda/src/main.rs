//! `make cold` and `make freeze`.

#![recursion_limit = "256"]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use lambda::{Installation, beside_this_program, cold, freeze};

/// Runs built functions as Lambda does
#[derive(Parser)]
struct Arguments {
    /// Where the functions are, as cargo or cargo-lambda left them; otherwise beside this program
    #[arg(long)]
    functions: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure starts, events, processors and memory
    Cold {
        /// How often each function is started
        #[arg(long, default_value_t = 15)]
        rounds: usize,
        /// How many events each of those takes
        #[arg(long, default_value_t = 300)]
        events: u32,
        /// The Python that has what the rival needs
        #[arg(long)]
        rival: Option<PathBuf>,
    },
    /// Freeze environments, drop their connections, and ask them
    Freeze {
        /// For how many seconds
        #[arg(long, value_delimiter = ',', default_values_t = [1, 60, 400])]
        seconds: Vec<u64>,
        /// How many environments for each of these
        #[arg(long, default_value_t = 40)]
        environments: usize,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { functions, command } = Arguments::parse();
    let installation = Installation::start(&functions.unwrap_or_else(beside_this_program)).await;
    let kept = match command {
        Command::Cold { rounds, events, rival } => {
            let report = cold::measure(&installation, rival.as_deref(), cold::Effort { rounds, events }).await;
            print!("{report}");
            report.is_kept()
        }
        Command::Freeze { seconds, environments } => {
            let times = seconds.into_iter().map(Duration::from_secs).collect();
            let report = freeze::run(&installation, &freeze::Plan { times, environments }).await;
            print!("{report}");
            report.is_kept()
        }
    };
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
