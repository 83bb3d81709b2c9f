use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::stream_records::StreamRecords;

/// The threads of the database. One at a time works on the tables; the other reads a request or writes an answer meanwhile.
const THREADS: usize = 2;
/// How long running requests may hold up the end.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// An embedded DynamoDB that the AWS SDK reaches over HTTP, as it reaches the real one. It has threads of its own, since it waits
/// for the disk, and searches vectors, in the thread that asks it.
pub struct EmbeddedDynamoDb {
    database: Database,
    records: StreamRecords,
    port: u16,
    stop: Arc<Notify>,
    server: JoinHandle<Result<(), String>>,
    threads: Option<Runtime>,
}

impl EmbeddedDynamoDb {
    /// Opens the tables in `file` and serves them on a free port.
    pub async fn start(file: &Path) -> Result<Self, String> {
        let path = file.to_str().ok_or("the path of the data folder is not UTF-8")?;
        let database = Database::new(path).map_err(|error| format!("{path}: {error}"))?;
        // Which has SQLite write its log at each commit and wait for the disk at checkpoints only (`synchronous=NORMAL`). Nothing
        // is lost when the process ends, however it ends; what was written in the last moments may be when the power fails.
        database.disable_bulk_loading().map_err(|error| format!("{path}: {error}"))?;
        let records = StreamRecords::open(file)?;
        let text = |error: std::io::Error| error.to_string();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(text)?;
        let port = listener.local_addr().map_err(text)?.port();
        let listener = listener.into_std().map_err(text)?;
        let stop = Arc::new(Notify::new());
        let (stopped, served) = (Arc::clone(&stop), database.clone());
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        let threads = threads.worker_threads(THREADS).thread_name("dynamodb").enable_all().build().map_err(text)?;
        let server = threads.spawn(async move {
            let listener = TcpListener::from_std(listener).map_err(|error| error.to_string())?;
            dynoxide::server::serve_with_shutdown(listener, served, async move { stopped.notified().await }).await
        });
        Ok(Self { database, records, port, stop, server, threads: Some(threads) })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The database itself, for its streams. Everything else goes over HTTP.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// What its streams hold.
    pub(crate) fn records(&self) -> &StreamRecords {
        &self.records
    }

    /// Lets running requests finish and closes the file.
    pub async fn stop(mut self) {
        self.stop.notify_one();
        match tokio::time::timeout(STOP_LIMIT, &mut self.server).await {
            Ok(Ok(Ok(()))) => {}
            other => tracing::warn!(?other, "the embedded DynamoDB did not stop in order"),
        }
    }
}

impl Drop for EmbeddedDynamoDb {
    /// Threads cannot be waited for where this may be dropped, among tasks.
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}
