use std::io;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::port;

/// The longest that the server may take to listen.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Another process may take the free port first.
const TRIES: usize = 3;

/// A `redis-server` that listens to this machine only and keeps nothing. It is killed when the thread that starts it ends, so that
/// none is left when this process is killed; on Linux, which is the only system that offers this.
pub fn redis_server(port: u16) -> Command {
    let mut command = if cfg!(target_os = "linux") {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "redis-server"]);
        command
    } else {
        Command::new("redis-server")
    };
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    command
}

/// A `redis-server` of our own. It ends with this value.
#[derive(Debug)]
pub(crate) struct RedisServer {
    process: Child,
    port: u16,
}

impl RedisServer {
    /// Starts the `redis-server` of this machine on a free port. It keeps nothing: it is a cache.
    pub(crate) async fn start() -> io::Result<Self> {
        let mut error = io::Error::other("not tried");
        for _ in 0..TRIES {
            match Self::try_start().await {
                Ok(server) => return Ok(server),
                Err(failure) => error = failure,
            }
        }
        Err(error)
    }

    async fn try_start() -> io::Result<Self> {
        let port = port::free()?;
        let process = redis_server(port)
            .args(["--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"])
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("redis-server could not be started: {error}")))?;
        let mut server = Self { process, port };
        let listening = async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
                if let Some(status) = server.process.try_wait()? {
                    return Err(io::Error::other(format!("redis-server ended at once: {status}")));
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(())
        };
        tokio::time::timeout(START_LIMIT, listening)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "redis-server did not listen in time"))??;
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The id of the process.
    pub(crate) fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    pub(crate) async fn stop(mut self) {
        if let Err(error) = self.process.kill().await {
            tracing::warn!(%error, "redis-server had ended already");
        }
    }
}
