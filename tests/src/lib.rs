//! The application as tests see it: a whole local installation with a folder, a `redis-server` and a database of its own,
//! spoken to over HTTP.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::return_self_not_must_use,
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

mod answering;
mod clients;
mod cluster;
mod collector;
pub mod dashboards;
pub mod data;
pub mod description;
mod embeddings;
mod instance;
mod issuer;
pub mod llm;
mod log;
mod meter;
mod monitor;
mod process;
mod proxy;
pub mod reading;
mod receiver;
mod redis;
mod reranks;
pub mod routes;
mod signing_key;
mod sse;
mod streamed;
mod sts;
mod user;
mod watched;

use local::{DataFolder, EmbedderChoice, Running, Settings, TokenClaims};
use reqwest::redirect::Policy;
use shared::clients::Builder;
use shared::config::Variables;
use shared::tenancy::Role;
use tempfile::TempDir;
use time::OffsetDateTime;

pub use answering::Answering;
pub use clients::Client;
pub use cluster::RedisCluster;
pub use collector::{Collector, Span};
pub use embeddings::Embeddings;
pub use instance::Instance;
pub use issuer::Issuer;
pub use log::Log;
pub use meter::{Bill, Meter, Signed};
pub use monitor::Monitor;
pub use proxy::Proxy;
pub use receiver::{Heard, Receiver};
pub use redis::RedisProcess;
pub use reranks::{Reranking, Reranks};
pub use signing_key::SigningKey;
pub use sse::{Event, events};
pub use streamed::{Streamed, markers};
pub use sts::Sts;
pub use user::{Answer, User, form};
pub use watched::Watched;

/// Vectors without weights, and limits that no test reaches unless it means to.
const DEFAULTS: [(&str, &str); 8] = [
    ("EMBEDDER", "hashing"),
    ("EMBEDDING_DIMENSIONS", "384"),
    ("LIMIT_USER_PER_MINUTE", "1000000"),
    ("LIMIT_TENANT_PER_HOUR", "10000000"),
    ("LIMIT_IP_PER_MINUTE", "1000000"),
    ("LIMIT_DAILY_TOKENS", "1000000000"),
    ("LIMIT_USER_STREAMS", "1000"),
    ("LIMIT_TENANT_STREAMS", "1000"),
];

/// A local installation.
pub struct TestApp {
    running: Running,
    http: reqwest::Client,
    folder: TempDir,
    variables: Variables,
}

impl TestApp {
    /// An installation with the hashing embedder and an empty folder.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with further variables, which win. With a `REDIS_URL` or a `DYNAMODB_ENDPOINT` it starts no such part of
    /// its own.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        let variables = Variables::from_pairs(variables.iter().copied()).or(&Variables::from_pairs(DEFAULTS));
        Self::start_in(tempfile::tempdir().unwrap(), EmbedderChoice::Configured, variables, true).await
    }

    /// The same, which works no queue off: that is left to an [`Instance`] over its folder.
    pub async fn start_idle_with(variables: &[(&str, &str)]) -> Self {
        let variables = Variables::from_pairs(variables.iter().copied()).or(&Variables::from_pairs(DEFAULTS));
        Self::start_in(tempfile::tempdir().unwrap(), EmbedderChoice::Configured, variables, false).await
    }

    /// An installation with the default embedder, or `None` where its weights are not on this machine.
    pub async fn start_with_minilm() -> Option<Self> {
        let weights = data::weights()?;
        let folder = tempfile::tempdir().unwrap();
        Some(Self::start_in(folder, EmbedderChoice::Minilm(weights), Variables::from_pairs(DEFAULTS), true).await)
    }

    async fn start_in(folder: TempDir, embedder: EmbedderChoice, variables: Variables, workers: bool) -> Self {
        let settings = Settings {
            data: DataFolder::open(folder.path()).unwrap(),
            port: 0,
            embedder,
            variables: variables.clone(),
            extractor: reading::extractor(),
            workers,
        };
        let running = local::start(&settings).await.expect("the installation starts");
        // A redirection is an answer, too.
        let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        Self { running, http, folder, variables }
    }

    /// Stops everything and starts it again over the same folder.
    pub async fn restart(self) -> Self {
        self.restart_with(&[]).await
    }

    /// The same with further variables, which win from now on.
    pub async fn restart_with(self, variables: &[(&str, &str)]) -> Self {
        self.running.stop().await;
        let variables = Variables::from_pairs(variables.iter().copied()).or(&self.variables);
        Self::start_in(self.folder, EmbedderChoice::Configured, variables, true).await
    }

    /// Stops everything.
    pub async fn stop(self) {
        self.running.stop().await;
    }

    /// The installation itself.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// What a worker of its documents is made of, over the same services.
    pub async fn worker(&self) -> ingest::State {
        self.worker_with(&Variables::default()).await
    }

    /// The same with further variables, which win.
    pub async fn worker_with(&self, variables: &Variables) -> ingest::State {
        let builder = Builder::new(variables.clone().or(self.running.variables())).await.unwrap();
        let (dynamodb, redis) = (builder.dynamodb().unwrap(), builder.redis().unwrap());
        let blobs = builder.blobs().unwrap();
        let models = builder.models().unwrap();
        ingest::State::new(&builder, (&dynamodb, &redis, &blobs), models, reading::extractor()).unwrap()
    }

    /// Where its Redis is.
    pub fn redis_url(&self) -> &str {
        self.running.variables().optional_text("REDIS_URL").expect("local names the cache")
    }

    /// Where its database is.
    pub fn dynamodb_endpoint(&self) -> &str {
        self.running.variables().optional_text("DYNAMODB_ENDPOINT").expect("local names the database")
    }

    /// Its folder.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Someone who speaks to it.
    pub fn user(&self, tenant: &str, user: &str, role: Role) -> User<'_> {
        self.bearer(&self.token(tenant, user, role))
    }

    /// A token of its issuer.
    pub fn token(&self, tenant: &str, user: &str, role: Role) -> String {
        let claims = TokenClaims { tenant: tenant.parse().unwrap(), user: user.parse().unwrap(), role };
        self.running.issuer().token(&claims, OffsetDateTime::now_utc()).unwrap()
    }

    /// The usual editor of the usual tenant.
    pub fn ada(&self) -> User<'_> {
        self.user("acme", "ada", Role::Editor)
    }

    /// Someone without a token.
    pub fn nobody(&self) -> User<'_> {
        User::new(&self.http, self.running.url(), None)
    }

    /// Someone with this token.
    pub fn bearer(&self, token: &str) -> User<'_> {
        User::new(&self.http, self.running.url(), Some(token.to_owned()))
    }
}
