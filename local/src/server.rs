use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use axum::{Router, middleware};
use shared::acting;
use shared::budgets::Budgets;
use shared::chunks::Chunks;
use shared::clients::{Builder, ClientError, Clients};
use shared::collections::Collections;
use shared::config::{AllowedOrigins, ConfigError, DoorConfig, LlmConfig, Reach, Variables};
use shared::documents::Documents;
use shared::embed::Models;
use shared::http::{Json, boundary, cors};
use shared::keys::Keys;
use shared::page::Pages;
use shared::tenants::Tenants;
use shared::texts::Texts;
use shared::usage::Usage;
use shared::users::Users;
use shared::webhooks::{Deliveries, Secrets, WEBHOOK_QUEUE, Webhooks};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::dynamodb::EmbeddedDynamoDb;
use crate::issuer::{self, Issuer};
use crate::minilm::{self, ModelError};
use crate::queue::{Delivering, EventSource, Worker};
use crate::redis::RedisServer;
use crate::settings::{EmbedderChoice, Settings};
use crate::streams::{Consumer, Stream};
use crate::workers::{self, INGEST_FOLDER, WEBHOOK_FOLDER, Workers};
use crate::{embeddings, metrics, models, objects, peer, secret, watch};

/// How long open streams may hold up the end.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// A local installation that runs.
pub struct Running {
    address: SocketAddr,
    variables: Variables,
    issuer: Arc<Issuer>,
    router: Router,
    /// Answers that are being made, where this process makes them.
    runs: Option<chat::Runs>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
    queues: Vec<Delivering>,
    changes: Option<JoinHandle<()>>,
    metrics: JoinHandle<()>,
    redis: Option<RedisServer>,
    dynamodb: Option<EmbeddedDynamoDb>,
}

/// The installation could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A variable is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A client cannot be made of the variables.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The weights cannot be loaded.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The key of the issuer cannot be used.
    #[error("the key of the local issuer cannot be used: {0}")]
    Issuer(#[from] jsonwebtoken::errors::Error),
    /// A part did not come up.
    #[error("{0}")]
    Part(String),
    /// Nothing can be measured.
    #[error(transparent)]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The port is taken, or a file cannot be used.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Which routes the server has.
pub(crate) enum Role {
    /// The whole API; the workers run in this process.
    Api,
    /// Only what functions in other processes need; the workers are among them.
    Services {
        /// The port of `cargo lambda watch`.
        functions_port: u16,
    },
}

/// Starts the whole API.
pub async fn start(settings: &Settings) -> Result<Running, StartError> {
    start_as(settings, &Role::Api).await
}

pub(crate) async fn start_as(settings: &Settings, role: &Role) -> Result<Running, StartError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port))
        .await
        .map_err(|error| StartError::Part(format!("port {}: {error}", settings.port)))?;
    let address = listener.local_addr()?;
    let exporter = metrics::start()?;
    let dynamodb = match settings.variables.optional_text("DYNAMODB_ENDPOINT") {
        Some(_) => None,
        None => Some(EmbeddedDynamoDb::start(&settings.data.database()).await.map_err(StartError::Part)?),
    };
    let redis = match settings.variables.optional_text("REDIS_URL") {
        Some(_) => None,
        None => Some(RedisServer::start().await?),
    };
    let issuer = Arc::new(Issuer::open(&settings.data)?);

    let secret = secret::text(&settings.data.signing_secret())?;
    let variables = local_variables(settings, address, &secret, dynamodb.as_ref(), redis.as_ref());
    let memory = settings.data.models_memory();
    let url = vectors_url(address);
    let opening = Box::pin(models::open(&memory, &settings.embedder, variables, &url));
    let (models, variables) = acting::for_deployment(opening).await?;
    let builder = Builder::new(variables.clone()).await?;
    let tables_at = builder.dynamodb()?;

    let keys = issuer.keys()?;
    let jwks = Router::new().route("/.well-known/jwks.json", get(|| async { Json(keys) }));
    let (router, runs, workforce, consumer) = match role {
        Role::Api => {
            let (router, runs, ingest, changes) = api(settings, &builder, models).await?;
            let webhooks = webhooks(&builder)?;
            let workers = Workers {
                ingest: Worker::in_process(move |event| ingest::handle(ingest.clone(), event)),
                webhooks: Worker::in_process(move |event| webhooks::handle(webhooks.clone(), event)),
            };
            (router, Some(runs), workers, Consumer::InProcess(Box::new(changes)))
        }
        Role::Services { functions_port } => {
            let function = |name| watch::Function::new(name, *functions_port);
            let workers = Workers {
                ingest: Worker::Function(function("ingest")?),
                webhooks: Worker::Function(function("webhooks")?),
            };
            (embeddings::router(models), None, workers, Consumer::Function(function("changes")?))
        }
    };
    let blobs = builder.blobs()?;
    let signer = builder.signer()?;
    let (content_urls, upload_urls) = (builder.content_urls(&blobs, &signer)?, builder.upload_urls(&blobs, &signer)?);
    let beside = jwks.merge(objects::router(blobs, content_urls, upload_urls));
    let queues = if settings.workers { workforce.sources(settings, &variables)? } else { Vec::new() };
    let queues = queues.into_iter().map(EventSource::start).collect();
    // Before anyone can write. The stream of a database elsewhere is consumed where that database is.
    let changes = match &dynamodb {
        Some(own) => {
            let position = settings.data.stream_position();
            let stream = Stream::open(own, &tables_at.table, position, consumer).await;
            Some(tokio::spawn(stream.map_err(StartError::Part)?.run()))
        }
        None => None,
    };

    let (stop, stopped) = oneshot::channel::<()>();
    let hops = settings.variables.number("TRUSTED_PROXY_HOPS", 0, 0..=10)?;
    let noted = middleware::from_fn_with_state(usize::try_from(hops).unwrap_or(0), peer::note);
    let origins = AllowedOrigins::from_variables(&settings.variables)?;
    let service = cors(boundary(router.clone().merge(beside)), origins).layer(noted);
    // Asked for every few seconds, which is neither to be logged nor measured. The one that is merged into the other says what
    // becomes of all other paths.
    let service = metrics::router(exporter.clone(), workers::queues(&settings.data)?).merge(service);
    let service = service.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let server = tokio::spawn(async move { server.await });
    let metrics = metrics::keep_up(exporter);
    Ok(Running { address, variables, issuer, router, runs, stop, server, queues, changes, metrics, redis, dynamodb })
}

impl Running {
    /// Where the API is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Who signs its tokens.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// What the functions are configured with.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The routers of the functions, merged, as they are before the boundary is put around them.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// The id of the `redis-server` process, if the installation has one of its own.
    pub fn redis_process(&self) -> Option<u32> {
        self.redis.as_ref()?.process_id()
    }

    /// Stops everything that was started. What is stored stays.
    pub async fn stop(self) {
        for queue in self.queues {
            queue.stop().await;
        }
        if let Some(changes) = self.changes {
            changes.abort();
        }
        self.metrics.abort();
        let _ = self.stop.send(());
        if let Some(runs) = self.runs {
            runs.stop_all(STOP_LIMIT).await;
        }
        if tokio::time::timeout(STOP_LIMIT, self.server).await.is_err() {
            tracing::info!("open streams were cut");
        }
        if let Some(redis) = self.redis {
            redis.stop().await;
        }
        if let Some(dynamodb) = self.dynamodb {
            dynamodb.stop().await;
        }
    }
}

/// What the functions find in their environment on AWS, for this machine.
fn local_variables(
    settings: &Settings,
    address: SocketAddr,
    secret: &str,
    dynamodb: Option<&EmbeddedDynamoDb>,
    redis: Option<&RedisServer>,
) -> Variables {
    let defaults = Variables::from_pairs([
        ("DYNAMODB_ENDPOINT", dynamodb.map(EmbeddedDynamoDb::url).unwrap_or_default()),
        // A vector search here looks at every vector of a collection.
        ("DYNAMODB_ATTEMPT_TIMEOUT_MS", "30000".to_owned()),
        ("DYNAMODB_OPERATION_TIMEOUT_MS", "60000".to_owned()),
        ("REDIS_URL", redis.map(RedisServer::url).unwrap_or_default()),
        ("BLOBS_URL", own_objects(settings)),
        ("INGEST_QUEUE_URL", own_queue(settings, INGEST_FOLDER)),
        // Somebody waits for it.
        ("INGEST_RETRY_MS", "1000".to_owned()),
        ("INGEST_HEARTBEAT_MS", "5000".to_owned()),
        ("BLOBS_PUBLIC_URL", format!("http://{address}/{}", objects::PATH)),
        (WEBHOOK_QUEUE, own_queue(settings, WEBHOOK_FOLDER)),
        // Receivers are on the same machine, most likely.
        ("WEBHOOK_ALLOW_PRIVATE", "true".to_owned()),
        ("SIGNING_SECRET", secret.to_owned()),
        ("JWT_ISSUER", issuer::ISSUER.to_owned()),
        ("JWT_AUDIENCE", issuer::AUDIENCE.to_owned()),
        ("JWT_OPERATOR_TENANT", issuer::OPERATOR_TENANT.to_owned()),
        ("JWKS_URL", format!("http://{address}/.well-known/jwks.json")),
    ]);
    let embedding = match settings.embedder {
        // Functions in other processes ask this one for vectors.
        EmbedderChoice::Minilm(_) => Variables::from_pairs(minilm::variables(&vectors_url(address))),
        EmbedderChoice::Configured => Variables::default(),
    };
    embedding.or(&settings.variables).or(&defaults)
}

/// Where this machine's own objects are.
pub(crate) fn own_objects(settings: &Settings) -> String {
    format!("file://{}", settings.data.objects().display())
}

/// Where a queue of this machine's own is.
pub(crate) fn own_queue(settings: &Settings, name: &str) -> String {
    format!("file://{}", settings.data.queue(name).display())
}

/// Where functions in other processes ask for vectors.
fn vectors_url(address: SocketAddr) -> String {
    format!("http://{address}/v1")
}

fn webhooks(builder: &Builder) -> Result<webhooks::State, StartError> {
    let dynamodb = builder.dynamodb()?;
    Ok(webhooks::State {
        webhooks: Webhooks::new(&dynamodb),
        deliveries: Deliveries::new(&dynamodb),
        secrets: Secrets::new(&builder.signer()?),
        outside: builder.outside()?,
        queue: builder.queue(WEBHOOK_QUEUE)?,
        clock: Arc::new(OffsetDateTime::now_utc),
    })
}

/// The routers of all functions, and the workers' states.
async fn api(
    settings: &Settings,
    builder: &Builder,
    models: Models,
) -> Result<(Router, chat::Runs, ingest::State, changes::State), StartError> {
    let (dynamodb, redis, blobs) = (builder.dynamodb()?, builder.redis()?, builder.blobs()?);
    let (signer, door) = (builder.signer()?, builder.door(&dynamodb, &redis)?);
    let (pages, idempotency) = (Pages::new(&dynamodb, &signer), builder.idempotency(&dynamodb, &signer)?);
    let retriever = builder.retriever(&dynamodb, &redis, models.clone())?;
    let webhook_queue = builder.queue(WEBHOOK_QUEUE)?;
    let (documents, collections, chunks) =
        (Documents::new(&dynamodb), Collections::new(&dynamodb), Chunks::new(&dynamodb));
    let (tenants, llm) = (Tenants::new(&dynamodb), Arc::new(LlmConfig::from_variables(builder.variables())?));
    let (texts, usage, queue) = (Texts::new(&blobs), Usage::new(&dynamodb), builder.queue("INGEST_QUEUE_URL")?);
    Clients { dynamodb: Some(&dynamodb), redis: Some(&redis), ..Clients::default() }.warm().await;

    let share = DoorConfig::from_variables(builder.variables())?.fallback_share_spending;
    let runs = chat::Runs::new(&redis, chat::Process::LivesOn, share);
    let router = Router::new()
        .merge(health::router(health::State { dynamodb: dynamodb.clone(), redis: redis.clone(), blobs: blobs.clone() }))
        .merge(documents::router(documents::State {
            door: door.clone(),
            documents: documents.clone(),
            collections: collections.clone(),
            chunks: chunks.clone(),
            content_urls: builder.content_urls(&blobs, &signer)?,
            blobs: blobs.clone(),
            texts: texts.clone(),
            pages: pages.clone(),
        }))
        .merge(upload::router(upload::State {
            door: door.clone(),
            idempotency: idempotency.clone(),
            documents: documents.clone(),
            collections: collections.clone(),
            blobs: blobs.clone(),
            upload_urls: builder.upload_urls(&blobs, &signer)?,
            queue: queue.clone(),
            usage: usage.clone(),
        }))
        .merge(search::router(search::State { door: door.clone(), retriever: retriever.clone() }))
        .merge(chat::router(chat::State {
            door: door.clone(),
            retriever,
            documents: documents.clone(),
            texts: texts.clone(),
            content_urls: builder.content_urls(&blobs, &signer)?,
            pages: pages.clone(),
            conversations: chat::Conversations::new(&dynamodb, &pages),
            budgets: Budgets::new(&dynamodb),
            runs: runs.clone(),
            idempotency: idempotency.clone(),
            models: chat::Models::new(&llm, builder.llm(&llm)?),
            config: llm,
        }))
        .merge(users::router(users::State {
            door,
            idempotency,
            tenants: tenants.clone(),
            users: Users::new(&dynamodb),
            keys: Keys::new(&dynamodb),
            models: Arc::new(LlmConfig::models_from_variables(builder.variables())?),
            usage,
            budgets: Budgets::new(&dynamodb),
            webhooks: Webhooks::new(&dynamodb),
            secrets: Secrets::new(&signer),
            reach: Reach::from_variables(builder.variables())?,
            webhook_queue: webhook_queue.clone(),
            pages,
        }));
    let changes = changes::State::new(builder.epochs(&redis, &dynamodb)?, &dynamodb, blobs.clone(), webhook_queue);
    let ingest = ingest::State::new(builder, (&dynamodb, &redis, &blobs), models, settings.extractor.clone())?;
    Ok((router, runs, ingest, changes))
}
