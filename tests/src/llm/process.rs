use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A scripted language model in a process of its own, which goes by the names of models. It ends with this value.
pub struct LlmProcess {
    url: String,
    _process: Child,
}

impl LlmProcess {
    /// Starts the program `scripted-llm`, which benchmarks name by `env!("CARGO_BIN_EXE_scripted-llm")`.
    pub async fn start(binary: &str) -> Self {
        let mut process = Command::new(binary)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the model starts");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("the model says why on standard error");
        let url = line.strip_prefix("listening ").expect("the first line names the address").to_owned();
        Self { url, _process: process }
    }

    /// The address that `/chat/completions` is appended to.
    pub fn url(&self) -> &str {
        &self.url
    }
}
