//! The functions under `cargo lambda watch`, beside the services they need.

use std::fmt::Write as _;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::process::Command;

use crate::secret;
use crate::server::{Role, Running, StartError, start_as};
use crate::settings::Settings;

/// Requests that one function takes side by side.
const CONCURRENCY: &str = "4";
/// The longest that a worker may take, over a document or records.
const WORK_LIMIT: Duration = Duration::from_mins(15);

/// Starts the services and writes the variables that the functions find them by.
pub async fn start_services(settings: &Settings, functions_port: u16) -> Result<Running, StartError> {
    let services = Settings { port: 0, ..settings.clone() };
    let running = start_as(&services, &Role::Services { functions_port }).await?;
    let mut text = String::new();
    for (name, value) in running.variables().sorted() {
        if LOCAL.contains(&name) {
            let _ = writeln!(text, "{name}={value}");
        }
    }
    secret::write(&settings.data.watch_variables(), text.as_bytes())?;
    Ok(running)
}

/// Runs `cargo lambda watch` until it ends.
pub async fn run_functions(settings: &Settings, functions_port: u16) -> io::Result<ExitStatus> {
    Command::new("cargo-lambda")
        .args(["lambda", "watch", "--invoke-address", "127.0.0.1", "--invoke-port", &functions_port.to_string()])
        .args(["--concurrency", CONCURRENCY, "--env-file"])
        .arg(settings.data.watch_variables())
        .kill_on_drop(true)
        .status()
        .await
}

/// A function under `cargo lambda watch`, which polls no queue and no stream itself.
#[derive(Clone)]
pub(crate) struct Function {
    url: String,
    http: reqwest::Client,
}

impl Function {
    pub(crate) fn new(name: &str, functions_port: u16) -> Result<Self, StartError> {
        let http = reqwest::Client::builder().timeout(WORK_LIMIT).build();
        let url = format!("http://127.0.0.1:{functions_port}/2015-03-31/functions/{name}/invocations");
        Ok(Self { url, http: http.map_err(|error| StartError::Part(error.to_string()))? })
    }

    /// Invokes it as `cargo lambda invoke` does.
    pub(crate) async fn invoke<A: DeserializeOwned>(&self, event: &impl Serialize) -> Result<A, InvokeError> {
        let answer = self.http.post(&self.url).json(event).send().await?.error_for_status()?;
        Ok(answer.json().await?)
    }
}

/// A function that did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvokeError {
    /// Nobody listens.
    #[error("{0}")]
    Absent(String),
    /// It was asked, and failed.
    #[error("{0}")]
    Failed(String),
}

impl From<reqwest::Error> for InvokeError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_connect() { Self::Absent(error.to_string()) } else { Self::Failed(error.to_string()) }
    }
}

/// The variables that lead to the services. The process's others are inherited anyway.
const LOCAL: [&str; 27] = [
    "BLOBS_PUBLIC_URL",
    "BLOBS_URL",
    "DYNAMODB_ATTEMPT_TIMEOUT_MS",
    "DYNAMODB_ENDPOINT",
    "DYNAMODB_OPERATION_TIMEOUT_MS",
    "EMBEDDER",
    "EMBEDDING_DIMENSIONS",
    "EMBEDDING_EDITION",
    "EMBEDDING_MODEL",
    "EMBEDDING_TIMEOUT_MS",
    "INGEST_HEARTBEAT_MS",
    "INGEST_QUEUE_URL",
    "INGEST_RETRY_MS",
    "JWKS_URL",
    "JWT_AUDIENCE",
    "JWT_ISSUER",
    "JWT_OPERATOR_TENANT",
    "OPENAI_BASE_URL",
    "PREVIOUS_EMBEDDER",
    "PREVIOUS_EMBEDDING_DIMENSIONS",
    "PREVIOUS_EMBEDDING_EDITION",
    "PREVIOUS_EMBEDDING_MODEL",
    "PREVIOUS_OPENAI_BASE_URL",
    "REDIS_URL",
    "SIGNING_SECRET",
    "WEBHOOK_ALLOW_PRIVATE",
    "WEBHOOK_QUEUE_URL",
];
