use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::data;

/// The longest that a client may take for all that it is asked to do.
const LIMIT: Duration = Duration::from_mins(2);

/// A client that applications are made with, as a program of `tests/clients` uses it.
#[derive(Debug)]
pub struct Client {
    interpreter: PathBuf,
    arguments: Vec<String>,
}

impl Client {
    /// A program in JavaScript with its arguments, or `None` where `make test` has not installed the clients.
    pub fn node(program: &str, arguments: &[&str]) -> Option<Self> {
        let installed = data::present("tests/clients/node_modules", "the clients in JavaScript");
        installed.and_then(|_| Self::of(".tools/bin/node", program, arguments))
    }

    /// A program in Python with its arguments, or `None` where `make test` has not installed the client.
    pub fn python(program: &str, arguments: &[&str]) -> Option<Self> {
        Self::of(".tools/bin/python", program, arguments)
    }

    fn of(interpreter: &str, program: &str, arguments: &[&str]) -> Option<Self> {
        let interpreter = data::present(interpreter, "the programs that `make test` installs")?;
        let program = data::project().join("tests/clients").join(program);
        let arguments = [program.to_str().unwrap()].into_iter().chain(arguments.iter().copied());
        Some(Self { interpreter, arguments: arguments.map(str::to_owned).collect() })
    }

    /// What the program prints, an object on each line, once it was given these lines to read.
    pub async fn run(&self, further: &[&str], lines: &[Value]) -> Vec<Value> {
        let mut child = Command::new(&self.interpreter)
            .args(&self.arguments)
            .args(further)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.concat().as_bytes()).await.unwrap();
        drop(stdin);
        let output = timeout(LIMIT, child.wait_with_output()).await.expect("the client ends in time").unwrap();
        let (printed, complaints) = (output.stdout, String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{self:?}: {complaints}");
        let printed = String::from_utf8(printed).unwrap();
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
