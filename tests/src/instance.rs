use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::process::{limit, signal};
use crate::{DEFAULTS, Log};

/// The longest that an instance may take to listen.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A process of its own that serves the API, as one of several Lambda environments. It ends with this value.
pub struct Instance {
    process: Child,
    url: String,
}

impl Instance {
    /// One that works nothing off. Starts the program `instance`, which tests name by `env!("CARGO_BIN_EXE_instance")`. The variables, which win over
    /// those of this process, must hold `REDIS_URL` and `DYNAMODB_ENDPOINT`. With the data folder of a
    /// [`crate::TestApp`] it takes that one's tokens and its objects.
    pub async fn start(binary: &str, data: &Path, variables: &[(&str, &str)]) -> Self {
        Self::start_as(Command::new(binary).arg(data), variables).await
    }

    /// The same, and it works queues off.
    pub async fn start_with_workers(binary: &str, data: &Path, variables: &[(&str, &str)]) -> Self {
        Self::start_as(Command::new(binary).arg(data).arg("workers"), variables).await
    }

    /// Starts a command of the program, and reads its log.
    pub async fn start_and_read(command: &mut Command, variables: &[(&str, &str)]) -> (Self, Log) {
        let mut instance = Self::start_as(command.stderr(Stdio::piped()), variables).await;
        let errors = instance.process.stderr.take().expect("standard error is piped");
        (instance, Log::read(errors))
    }

    async fn start_as(command: &mut Command, variables: &[(&str, &str)]) -> Self {
        let mut process = command
            .envs(DEFAULTS)
            .envs(variables.iter().copied())
            // Kept open as long as the instance is to run, so that it ends even if the test is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the instance starts");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(START_LIMIT, lines.next_line()).await.expect("the instance listens in time");
        let line = line.unwrap().expect("the instance says why on standard error");
        let url = line.strip_prefix("listening ").expect("the first line names the address").to_owned();
        Self { process, url }
    }

    /// Where its API is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.process.id().expect("the instance runs")
    }

    /// Ends it at once.
    pub async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Sets a limit of its resources, named as `prlimit` names it: `--nofile=1024:1024`.
    pub fn limit(&self, name: &str) {
        limit(self.pid(), name);
    }

    /// Freezes it, as Lambda does between requests.
    pub fn stop(&self) {
        signal(self.pid(), "STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        signal(self.pid(), "CONT");
    }
}
