use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use ::redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisResult};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Child;

use crate::process::signal;

/// The longest that a server may take to listen.
const START_LIMIT: Duration = Duration::from_secs(10);
/// The longest that a command of a test may take; the client's own limit is for machines with nothing else to do.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Another process may take the free port first.
const TRIES: usize = 5;
/// The bus of a cluster listens this far above the port.
const BUS: u16 = 10_000;

/// A `redis-server` with a folder of its own. It ends with this value.
pub struct RedisProcess {
    process: Child,
    port: u16,
    arguments: Vec<String>,
    folder: TempDir,
}

impl RedisProcess {
    /// A server on a free port that keeps nothing.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with further arguments, such as `--maxmemory`.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let arguments: Vec<_> = arguments.iter().map(|&word| word.to_owned()).collect();
        for _ in 0..TRIES {
            let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
            if let Some(process) = spawn(port, &folder, &arguments).await {
                return Self { process, port, arguments, folder };
            }
        }
        panic!("redis-server does not start");
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The answer to a command, sent over a connection of its own.
    pub async fn command<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_command(words).await.unwrap()
    }

    /// The same where it may fail.
    pub async fn try_command<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let limits = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_LIMIT))
            .set_response_timeout(Some(ANSWER_LIMIT));
        let client = Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&limits).await?;
        ::redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await
    }

    /// Freezes it: connections stay open and nothing answers.
    pub fn pause(&self) {
        signal(self.process.id().expect("redis-server runs"), "STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        signal(self.process.id().expect("redis-server runs"), "CONT");
    }

    /// Ends it at once.
    pub async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Ends it if it runs and starts it on the same port with an empty memory.
    pub async fn restart(&mut self) {
        self.kill().await;
        self.process = spawn(self.port, &self.folder, &self.arguments).await.expect("redis-server starts again");
    }
}

/// A server that listens, or none if it ended at once.
async fn spawn(port: u16, folder: &TempDir, arguments: &[String]) -> Option<Child> {
    let mut process = local::redis_server(port)
        .arg("--dir")
        .arg(folder.path())
        .args(arguments)
        .spawn()
        .expect("redis-server is installed");
    let listening = async {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            if process.try_wait().unwrap().is_some() {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Some(())
    };
    tokio::time::timeout(START_LIMIT, listening).await.expect("redis-server listens in time")?;
    Some(process)
}

/// A port that was free a moment ago, with a free one for the bus of a cluster.
fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let bus = port.checked_add(BUS);
        if bus.is_some_and(|bus| TcpListener::bind((Ipv4Addr::LOCALHOST, bus)).is_ok()) {
            return port;
        }
    }
}
