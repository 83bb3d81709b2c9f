use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// An embedded DynamoDB that the AWS SDK reaches over HTTP, as it reaches the real one.
pub struct EmbeddedDynamoDb {
    database: Database,
    port: u16,
    stop: Arc<Notify>,
    server: JoinHandle<Result<(), String>>,
}

impl EmbeddedDynamoDb {
    /// Opens the tables in `file` and serves them on a free port.
    pub async fn start(file: &Path) -> Result<Self, String> {
        let path = file.to_str().ok_or("the path of the data folder is not UTF-8")?;
        let database = Database::new(path).map_err(|error| format!("{path}: {error}"))?;
        let text = |error: std::io::Error| error.to_string();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(text)?;
        let port = listener.local_addr().map_err(text)?.port();
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let server = tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database.clone(), async move {
            stopped.notified().await;
        }));
        Ok(Self { database, port, stop, server })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The database itself, for its streams. Everything else goes over HTTP.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Lets running requests finish and closes the file.
    pub async fn stop(self) {
        self.stop.notify_one();
        match tokio::time::timeout(std::time::Duration::from_secs(2), self.server).await {
            Ok(Ok(Ok(()))) => {}
            other => tracing::warn!(?other, "the embedded DynamoDB did not stop in order"),
        }
    }
}
