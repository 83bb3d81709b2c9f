//! `make run`, `make watch`, `make token`, `make redrive` and `make reindex`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use local::{DataFolder, Issuer, Running, Settings, TokenClaims, start, watch};
use shared::config::{TelemetryConfig, Variables};
use shared::telemetry::{self, Telemetry, TelemetryError};
use shared::tenancy::{Role, TenantId, UserId};
use time::OffsetDateTime;

/// Where `cargo lambda watch` listens unless told otherwise.
const DEFAULT_FUNCTIONS_PORT: u16 = 9000;

/// Ragline on one machine, without an account or a key.
#[derive(Parser)]
#[command(name = "ragline", version)]
struct Arguments {
    /// Where everything is kept
    #[arg(long, default_value = ".ragline")]
    data: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the whole API
    Serve {
        /// The port of the API
        #[arg(long, default_value_t = 8080)]
        port: u16,
    },
    /// Run the functions under `cargo lambda watch`, with the services they need
    Watch {
        /// The port of the API
        #[arg(long, default_value_t = DEFAULT_FUNCTIONS_PORT)]
        port: u16,
    },
    /// Run only the services that functions in other processes need
    Services {
        /// The port that they are invoked at
        #[arg(long, default_value_t = DEFAULT_FUNCTIONS_PORT)]
        functions_port: u16,
    },
    /// Have dead letters tried anew
    Redrive,
    /// Have documents re-embedded that lack vectors of the model in use
    Reindex,
    /// Print a token of the local issuer
    Token {
        /// The tenant
        #[arg(long)]
        tenant: TenantId,
        /// The user
        #[arg(long)]
        user: UserId,
        /// viewer, editor, admin or owner
        #[arg(long, value_parser = role)]
        role: Role,
    },
}

fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|()| "must be viewer, editor, admin or owner".to_owned())
}

type AnyError = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    // The workers in this process start it again to read a file.
    ingest::extract_if_told().unwrap_or_else(|| serve(Arguments::parse()))
}

#[tokio::main]
async fn serve(arguments: Arguments) -> ExitCode {
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ragline: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), AnyError> {
    let data = DataFolder::open(&arguments.data)?;
    match arguments.command {
        Command::Token { tenant, user, role } => {
            println!("{}", token(&Issuer::open(&data)?, &tenant, &user, role)?);
            Ok(())
        }
        Command::Redrive => {
            for queue in data.queues()? {
                println!("{}: {} dead letters will be tried anew", queue.name(), queue.redrive()?);
            }
            Ok(())
        }
        Command::Reindex => {
            data.reindex()?;
            println!("documents will be re-embedded by the server that works on {}", arguments.data.display());
            Ok(())
        }
        Command::Serve { port } => {
            let (variables, telemetry) = variables()?;
            let settings = Settings::from_variables(data, port, variables)?;
            let running = start(&settings).await?;
            greet(&running.url(), running.issuer())?;
            stopped(running, telemetry, std::future::pending::<()>()).await
        }
        Command::Services { functions_port } => {
            let (variables, telemetry) = variables()?;
            let settings = Settings::from_variables(data, 0, variables)?;
            let running = watch::start_services(&settings, functions_port).await?;
            stopped(running, telemetry, std::future::pending::<()>()).await
        }
        Command::Watch { port } => {
            let (variables, telemetry) = variables()?;
            let settings = Settings::from_variables(data, 0, variables)?;
            let running = watch::start_services(&settings, port).await?;
            greet(&format!("http://127.0.0.1:{port}"), running.issuer())?;
            stopped(running, telemetry, watch::run_functions(&settings, port)).await
        }
    }
}

/// The variables of the process; telemetry starts as they say.
fn variables() -> Result<(Variables, Telemetry), TelemetryError> {
    // The embedded database warns of every condition that does not hold, which is how conditions are used.
    let defaults = Variables::from_pairs([("LOG_LEVEL", "info,dynoxide=error")]);
    let variables = Variables::from_process().or(&defaults);
    let telemetry = telemetry::init(&TelemetryConfig::from_variables(&variables)?)?;
    tokio::spawn(telemetry.clone().keep_sending());
    Ok((variables, telemetry))
}

/// Waits for Ctrl-C, a request to end, or the end of `work`; then stops everything that was started.
async fn stopped<T>(running: Running, telemetry: Telemetry, work: impl Future<Output = T>) -> Result<(), AnyError> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended?,
        _ = terminate.recv() => {}
        _ = work => {}
    }
    running.stop().await;
    telemetry.flush().await;
    Ok(())
}

fn token(issuer: &Issuer, tenant: &TenantId, user: &UserId, role: Role) -> Result<String, AnyError> {
    let claims = TokenClaims { tenant: tenant.clone(), user: user.clone(), role };
    Ok(issuer.token(&claims, OffsetDateTime::now_utc())?)
}

/// Everything a newcomer needs for the first request.
fn greet(url: &str, issuer: &Issuer) -> Result<(), AnyError> {
    let token = token(issuer, &"demo".parse()?, &"ada".parse()?, Role::Admin)?;
    println!(
        "Ragline serves {url}\n\n\
         A token for the user ada, admin of the tenant demo:\n{token}\n\n\
         Try:\ncurl -sS {url}/users/me -H 'authorization: Bearer {token}'\n\n\
         Ctrl-C stops it. The data stays."
    );
    Ok(())
}
