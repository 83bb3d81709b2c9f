use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::answer::Answer;
use crate::invoke_error::InvokeError;
use crate::process::Usage;
use crate::runtime_api::RuntimeApi;

/// What Lambda lets a function take until it asks for its first event.
const INIT_LIMIT: Duration = Duration::from_secs(10);
/// What Lambda lets a function take to end once it was told to.
const END_LIMIT: Duration = Duration::from_millis(500);

/// A program that asks a Runtime API for events, and how it is run.
#[derive(Debug, Clone)]
pub struct Program {
    /// The name of the function.
    pub function: String,
    /// What is run.
    pub command: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// All its variables but those that Lambda sets.
    pub variables: Vec<(String, String)>,
    /// How long it may work on an event.
    pub timeout: Duration,
    /// Where what it writes is appended; otherwise nobody reads that.
    pub log: Option<PathBuf>,
}

/// A process of a function with a Runtime API of its own. It ends with this value.
pub struct Environment {
    process: Child,
    pid: Pid,
    api: RuntimeApi,
    timeout: Duration,
    init: Duration,
    invocations: u64,
    frozen: bool,
}

impl Environment {
    /// Starts a process and waits until it asks for an event.
    pub async fn start(program: &Program) -> Result<Self, InvokeError> {
        let api = RuntimeApi::start().await?;
        let address = api.address();
        let mut command = Command::new(&program.command);
        command
            .args(&program.arguments)
            .env_clear()
            .envs(program.variables.iter().map(|(name, value)| (name, value)))
            .envs([
                ("AWS_LAMBDA_FUNCTION_NAME", program.function.as_str()),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
                ("AWS_REGION", "us-east-1"),
                // Lambda gives those of the role.
                ("AWS_ACCESS_KEY_ID", "emulator"),
                ("AWS_SECRET_ACCESS_KEY", "emulator"),
                ("AWS_SESSION_TOKEN", "emulator"),
            ])
            .stdin(Stdio::null())
            .stdout(program.output()?)
            .stderr(program.output()?)
            .kill_on_drop(true);
        let started = Instant::now();
        let mut process = command.spawn()?;
        let pid = process.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw).expect("it was just started");
        let init = tokio::select! {
            asked = api.asked(1) => asked - started,
            status = process.wait() => return Err(InvokeError::Init(status?)),
            () = tokio::time::sleep(INIT_LIMIT) => return Err(InvokeError::InitTimedOut),
        };
        Ok(Self { process, pid, api, timeout: program.timeout, init, invocations: 0, frozen: false })
    }

    /// How long it took from the start of the process until it asked for an event.
    pub fn init(&self) -> Duration {
        self.init
    }

    /// The id of the process.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// How many events it was given.
    pub fn invocations(&self) -> u64 {
        self.invocations
    }

    /// What the process has used so far.
    pub fn usage(&self) -> io::Result<Usage> {
        Usage::of(self.pid)
    }

    /// The answer to an event, or its beginning if it is streamed. A frozen environment is thawed for it.
    pub async fn invoke(&mut self, event: &Value) -> Result<Answer, InvokeError> {
        self.thaw()?;
        let answer = self.api.give(event, self.timeout);
        self.invocations += 1;
        tokio::select! {
            biased;
            Ok(outcome) = answer => outcome,
            status = self.process.wait() => Err(InvokeError::Ended(status?)),
            () = tokio::time::sleep(self.timeout) => {
                self.process.kill().await?;
                Err(InvokeError::TimedOut)
            }
        }
    }

    /// Waits until the answer is out and the function asks for the next event. Says whether it does; it may have ended instead.
    pub async fn rest(&mut self) -> bool {
        tokio::select! {
            biased;
            _ = self.api.asked(self.invocations + 1) => true,
            _ = self.process.wait() => false,
            () = tokio::time::sleep(self.timeout) => {
                let _ = self.process.kill().await;
                false
            }
        }
    }

    /// Whether its process runs, or is frozen.
    pub fn lives(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Stops the process where it is, as Lambda does between events.
    pub fn freeze(&mut self) -> io::Result<()> {
        kill(self.pid, Signal::SIGSTOP)?;
        self.frozen = true;
        Ok(())
    }

    /// Lets it go on.
    pub fn thaw(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.frozen) {
            kill(self.pid, Signal::SIGCONT)?;
        }
        Ok(())
    }

    /// Ends it as Lambda does: it is told to, and killed if it takes too long. `None` if it had to be killed.
    pub async fn end(mut self) -> io::Result<Option<ExitStatus>> {
        // A frozen process would not hear it.
        self.thaw()?;
        kill(self.pid, Signal::SIGTERM)?;
        match tokio::time::timeout(END_LIMIT, self.process.wait()).await {
            Ok(status) => status.map(Some),
            Err(_) => self.process.kill().await.map(|()| None),
        }
    }
}

impl Program {
    fn output(&self) -> io::Result<Stdio> {
        Ok(match &self.log {
            Some(log) => OpenOptions::new().create(true).append(true).open(log)?.into(),
            None => Stdio::null(),
        })
    }
}
