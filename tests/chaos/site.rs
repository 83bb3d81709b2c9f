//! The installation: a server in a process of its own, behind proxies to all that it needs, and what is done to it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::Router;
use futures::future::join_all;
use http::StatusCode;
use tempfile::TempDir;
use tests::llm::ScriptedLlm;
use tests::{Embeddings, Instance, Log, Proxy, RedisProcess, TestApp};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::fault::{Harm, Part};
use crate::world::World;

const INSTANCE: &str = env!("CARGO_BIN_EXE_instance");
/// The pause between two resets.
const RESET: Duration = Duration::from_millis(100);
/// The server's descriptors, and the connections that are opened to it.
const DESCRIPTORS: (&str, usize) = ("--nofile=1024:1024", 1_500);
/// How soon the server sees what its clock was set to.
const CLOCK: Duration = Duration::from_secs(1);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(1);
const DIMENSIONS: usize = 384;
/// Looks for something, and says a few words about it.
const MODEL: &str = "scripted-ttft50-itl20-len20-tools-1";

/// What is waited for, and how long. The times for the database are those of the functions.
const VARIABLES: [(&str, &str); 15] = [
    ("LOG_FORMAT", "json"),
    ("LOG_LEVEL", "warn,dynoxide=error"),
    // The machine may have other work.
    ("REDIS_TIMEOUT_MS", "250"),
    ("DYNAMODB_CONNECT_TIMEOUT_MS", "1000"),
    ("DYNAMODB_ATTEMPT_TIMEOUT_MS", "3000"),
    ("DYNAMODB_OPERATION_TIMEOUT_MS", "8000"),
    ("LLM", "openai"),
    ("LLM_MODEL", MODEL),
    ("LLM_FIRST_TIMEOUT_MS", "2000"),
    ("LLM_IDLE_TIMEOUT_MS", "1500"),
    ("EMBEDDER", "openai"),
    ("EMBEDDING_MODEL", "hashing"),
    ("EMBEDDING_TIMEOUT_MS", "2000"),
    // What a server that was killed was working on.
    ("QUEUE_VISIBILITY_MS", "3000"),
    ("INGEST_HEARTBEAT_MS", "1000"),
];

/// An installation.
pub(crate) struct Site {
    server: Instance,
    log: Log,
    variables: Vec<(String, String)>,
    folder: PathBuf,
    clock: PathBuf,
    model: Proxy,
    embedder: Proxy,
    services: Option<Services>,
    _parts: (ScriptedLlm, Embeddings, TempDir),
}

/// What the server has no part of in itself.
struct Services {
    app: TestApp,
    redis: RedisProcess,
    cache: Proxy,
    database: Proxy,
}

impl Site {
    /// An installation to which this can be done; or why it cannot here.
    pub(crate) async fn start(harm: Harm) -> Result<Self, &'static str> {
        let (llm, embeddings, own) = (ScriptedLlm::start().await, Embeddings::start(DIMENSIONS).await, folder());
        let (model, embedder) = (Proxy::start(&llm.url()).await, Proxy::start(embeddings.url()).await);
        let mut variables = Vec::from(VARIABLES.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let mut set = |name: &str, value: String| variables.push((name.to_owned(), value));
        set("LLM_BASE_URL", format!("{}/v1", model.url()));
        set("OPENAI_BASE_URL", format!("{}/v1", embedder.url()));
        let clock = own.path().join("clock");
        if let Harm::Clock(_) = harm {
            std::fs::write(&clock, "+0").unwrap();
            set("LD_PRELOAD", libfaketime().ok_or("libfaketime is not installed")?.display().to_string());
            set("FAKETIME_TIMESTAMP_FILE", clock.display().to_string());
            set("FAKETIME_CACHE_DURATION", "1".to_owned());
            set("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned());
        }
        let services = if harm.is_of_the_folder() { None } else { Some(Services::start(&mut variables).await) };
        let folder =
            services.as_ref().map_or_else(|| own.path().join("data"), |services| services.app.folder().to_owned());
        let (server, log) = serve(&folder, &variables).await;
        if harm == Harm::Descriptors {
            server.limit(DESCRIPTORS.0);
        }
        let parts = (llm, embeddings, own);
        Ok(Self { server, log, variables, folder, clock, model, embedder, services, _parts: parts })
    }

    /// Those who use it.
    pub(crate) fn world(&self) -> World {
        World::new(&self.folder, self.server.url())
    }

    /// What the server logged so far, but for what it is told.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Does the harm for so long. When it began, and when it was over.
    pub(crate) async fn suffer(&mut self, harm: Harm, lasts: Duration, world: &World) -> (Instant, Instant) {
        let begun = Instant::now();
        match harm {
            Harm::Slow(part, delay) => {
                self.part(part).delay(delay, delay);
                sleep(lasts).await;
                self.part(part).delay(Duration::ZERO, Duration::ZERO);
            }
            Harm::Resets(part) => {
                while begun.elapsed() < lasts {
                    self.part(part).cut().await;
                    sleep(RESET).await;
                }
            }
            Harm::Silent(part) => {
                self.part(part).silence();
                sleep(lasts).await;
                self.part(part).blackhole_existing();
            }
            Harm::HalfOpen(part) => self.part(part).blackhole_existing(),
            Harm::Gone(part) => {
                self.part(part).refuse().await;
                self.part(part).cut().await;
                sleep(lasts).await;
                self.part(part).accept().await;
            }
            Harm::Forgets => self.services().redis.command::<()>(&["FLUSHALL"]).await,
            Harm::Throttles => {
                let (throttling, url) = throttling().await;
                self.services().database.lead_to(&url).await;
                sleep(lasts).await;
                let services = self.services();
                services.database.lead_to(services.app.dynamodb_endpoint()).await;
                drop(throttling);
            }
            Harm::FullDisk => {
                self.server.limit("--fsize=0:");
                sleep(lasts).await;
                self.server.limit("--fsize=unlimited:");
            }
            Harm::Clock(jump) => {
                std::fs::write(&self.clock, jump).unwrap();
                sleep(lasts).await;
                std::fs::write(&self.clock, "+0").unwrap();
                sleep(CLOCK).await;
            }
            Harm::Descriptors => {
                let crowd = join_all((0..DESCRIPTORS.1).map(|_| self.connection())).await;
                sleep(lasts).await;
                drop(crowd);
            }
            Harm::Killed => {
                self.server.kill().await;
                sleep(lasts).await;
                (self.server, self.log) = serve(&self.folder, &self.variables).await;
                world.moved_to(self.server.url());
            }
        }
        (begun, Instant::now())
    }

    /// Ends all of it.
    pub(crate) async fn stop(self) {
        drop(self.server);
        if let Some(services) = self.services {
            services.app.stop().await;
        }
    }

    async fn connection(&self) -> Option<TcpStream> {
        let address = self.server.url().trim_start_matches("http://").to_owned();
        timeout(CONNECT, TcpStream::connect(address)).await.ok()?.ok()
    }

    fn services(&self) -> &Services {
        self.services.as_ref().expect("the server has them in itself")
    }

    fn part(&mut self, part: Part) -> &mut Proxy {
        let services = self.services.as_mut().expect("the server has them in itself");
        match part {
            Part::Cache => &mut services.cache,
            Part::Database => &mut services.database,
            Part::Model => &mut self.model,
            Part::Embedder => &mut self.embedder,
        }
    }
}

impl Services {
    /// Starts them, and adds the variables with which they are found. The stream of the database is worked off where it is,
    /// and all queues are left to the server.
    async fn start(variables: &mut Vec<(String, String)>) -> Self {
        let redis = RedisProcess::start().await;
        let cache = Proxy::start(&redis.url()).await;
        variables.push(("REDIS_URL".to_owned(), cache.url()));
        let app = TestApp::start_idle_with(&pairs(variables)).await;
        let database = Proxy::start(app.dynamodb_endpoint()).await;
        variables.push(("DYNAMODB_ENDPOINT".to_owned(), database.url()));
        Self { app, redis, cache, database }
    }
}

/// Starts a server. A write past the limit of its files is an error to it, as on a full disk, and does not end it.
async fn serve(folder: &Path, variables: &[(String, String)]) -> (Instance, Log) {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", INSTANCE]).arg(folder).arg("workers");
    Instance::start_and_read(&mut command, &pairs(variables)).await
}

fn pairs(variables: &[(String, String)]) -> Vec<(&str, &str)> {
    variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A database that turns everything away.
async fn throttling() -> (JoinSet<()>, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let body = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"Rate exceeded"}"#;
    let answer = (StatusCode::BAD_REQUEST, [("content-type", "application/x-amz-json-1.0")], body);
    let mut server = JoinSet::new();
    let router = Router::new().fallback(move || async move { answer });
    server.spawn(async { axum::serve(listener, router).await.unwrap() });
    (server, url)
}

/// Where the library is that tells a process another time.
fn libfaketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let files = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    files.filter(|file| file.is_file()).max()
}
