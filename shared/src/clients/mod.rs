//! The clients of one process. Each is built once, in `main`, and travels by `Clone`; no `static` holds a connection.
//!
//! Building never talks to the network. [`Clients::warm`] does, while the process starts: a Lambda environment has its
//! full CPU then whatever its memory size, so handshakes are cheapest there. Nothing about it is fatal.

mod announcements;
mod aws_http;
mod blobs;
mod collector;
mod content_urls;
mod dynamodb;
mod lazy_http;
mod llm;
mod measured;
mod outside;
mod queue;
mod redis;
mod tenant_sessions;
mod upload_urls;

use std::sync::OnceLock;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_types::retry::ReconnectMode;

pub use self::announcements::ANNOUNCEMENTS_FOLDER;
use self::aws_http::AwsHttp;
pub use self::blobs::{BlobKey, Blobs, Fetched};
pub(crate) use self::collector::Collector;
pub use self::content_urls::{ContentUrls, Delivery, SignedQuery};
pub use self::dynamodb::DynamoDb;
pub use self::llm::LlmClient;
pub use self::outside::{Outside, Unanswered};
pub use self::queue::{FolderQueue, LONGEST_DELAY, LONGEST_HIDING, Message, Place, Queue};
pub use self::redis::{CacheError, Redis, Script};
use self::tenant_sessions::TenantSessions;
pub use self::upload_urls::{Announced, SignedUpload, UploadRequest, UploadUrls};
use crate::auth::{Authenticator, TokenVerifier};
use crate::config::{
    AuthConfig, BlobsConfig, ConfigError, DoorConfig, DynamoDbConfig, EmbeddingConfig, IdempotencyConfig, LlmConfig,
    QueueConfig, Reach, RedisConfig, RerankConfig, SearchConfig, SigningConfig, TenantSessionsConfig, Variables,
};
use crate::door::{Door, Epochs, Idempotency};
use crate::embed::{self, Models};
use crate::keys::KeyRing;
use crate::rerank::Reranker;
use crate::retrieval::Retriever;
use crate::signing::Signer;

/// A connection that rested for longer is not used again: nobody may have been there to hear that it was closed.
pub(crate) const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// The longest that warming may hold up a start.
const WARM_LIMIT: Duration = Duration::from_millis(1_500);

/// A client could not be built: the configuration is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A variable is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration is well formed, but no client can be made of it.
    #[error("{0}")]
    Build(String),
}

/// Builds the clients a function asks for, all from one set of variables and one AWS configuration.
pub struct Builder {
    variables: Variables,
    aws: SdkConfig,
    /// The same for all clients that sign by them.
    sessions: OnceLock<TenantSessions>,
}

impl Builder {
    /// A builder over these variables. Reads AWS's own variables and files, but makes no call.
    ///
    /// # Errors
    ///
    /// The file that `AWS_CA_BUNDLE` names cannot be read, or holds no certificates.
    pub async fn new(variables: Variables) -> Result<Self, ClientError> {
        // Lambda always names the region; the default chain would ask the metadata service of EC2 where nothing does.
        let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .or_else("us-east-1");
        let aws = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(region)
            .http_client(AwsHttp::new(&variables)?)
            .load()
            .await;
        // A connection that an answer came on works, whatever the answer.
        let retries = aws.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
        let retries = retries.with_reconnect_mode(ReconnectMode::ReuseAllConnections);
        let aws = aws.into_builder().retry_config(retries).build();
        Ok(Self { variables, aws, sessions: OnceLock::new() })
    }

    /// The variables the clients are built from.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The DynamoDB client with its two tables.
    pub fn dynamodb(&self) -> Result<DynamoDb, ClientError> {
        Ok(DynamoDb::new(&self.aws, &DynamoDbConfig::from_variables(&self.variables)?, self.sessions()?))
    }

    /// The Redis connection.
    pub fn redis(&self) -> Result<Redis, ClientError> {
        Redis::new(&self.aws, &RedisConfig::from_variables(&self.variables)?)
    }

    /// The object storage.
    pub fn blobs(&self) -> Result<Blobs, ClientError> {
        blobs::open(&BlobsConfig::from_variables(&self.variables)?, &self.aws, self.sessions()?)
    }

    /// The sessions of tenants, if what is done for a tenant is signed by one.
    fn sessions(&self) -> Result<Option<&TenantSessions>, ClientError> {
        let config = TenantSessionsConfig::from_variables(&self.variables)?;
        Ok(config.map(|config| self.sessions.get_or_init(|| TenantSessions::new(&self.aws, &config))))
    }

    /// The queue that the variable `name` leads to, such as `INGEST_QUEUE_URL`.
    pub fn queue(&self, name: &'static str) -> Result<Queue, ClientError> {
        Queue::open(&self.aws, &QueueConfig::from_variables(&self.variables, name)?)
    }

    /// Who signs with the deployment's secret.
    pub fn signer(&self) -> Result<Signer, ClientError> {
        Ok(Signer::new(&SigningConfig::from_variables(&self.variables)?))
    }

    /// The addresses of what lies in the object storage.
    pub fn content_urls(&self, blobs: &Blobs, signer: &Signer) -> Result<ContentUrls, ClientError> {
        Ok(ContentUrls::new(blobs, &BlobsConfig::from_variables(&self.variables)?, signer))
    }

    /// The addresses at which bytes can be put into the object storage.
    pub fn upload_urls(&self, blobs: &Blobs, signer: &Signer) -> Result<UploadUrls, ClientError> {
        Ok(UploadUrls::new(blobs, &BlobsConfig::from_variables(&self.variables)?, signer))
    }

    /// The answers to requests that may be repeated.
    pub fn idempotency(&self, dynamodb: &DynamoDb, signer: &Signer) -> Result<Idempotency, ClientError> {
        Ok(Idempotency::new(dynamodb, signer, IdempotencyConfig::from_variables(&self.variables)?))
    }

    /// The way out to addresses that tenants gave.
    pub fn outside(&self) -> Result<Outside, ClientError> {
        Outside::new(Reach::from_variables(&self.variables)?)
    }

    /// The embedding models of the deployment.
    pub fn models(&self) -> Result<Models, ClientError> {
        let current = embed::from_config(&EmbeddingConfig::from_variables(&self.variables)?, &self.aws)?;
        let previous = EmbeddingConfig::previous_from_variables(&self.variables)?;
        let previous = previous.map(|config| embed::from_config(&config, &self.aws)).transpose()?;
        Ok(Models { current, previous })
    }

    /// The way to the language models, if those that are configured need one.
    pub fn llm(&self, config: &LlmConfig) -> Result<Option<LlmClient>, ClientError> {
        llm::open(config, &self.aws)
    }

    /// The verifier of bearer tokens.
    pub fn verifier(&self) -> Result<TokenVerifier, ClientError> {
        Ok(TokenVerifier::new(AuthConfig::from_variables(&self.variables)?))
    }

    /// The authenticator of tokens and API keys.
    pub fn authenticator(&self, dynamodb: &DynamoDb) -> Result<Authenticator, ClientError> {
        Ok(Authenticator::new(self.verifier()?, KeyRing::new(dynamodb)))
    }

    /// The door, with its authenticator.
    pub fn door(&self, dynamodb: &DynamoDb, redis: &Redis) -> Result<Door, ClientError> {
        Ok(Door::new(self.authenticator(dynamodb)?, redis, dynamodb, DoorConfig::from_variables(&self.variables)?))
    }

    /// The epochs, for workers that change what is cached.
    pub fn epochs(&self, redis: &Redis, dynamodb: &DynamoDb) -> Result<Epochs, ClientError> {
        Ok(Epochs::new(redis, dynamodb, &DoorConfig::from_variables(&self.variables)?))
    }

    /// The retriever over these clients.
    pub fn retriever(&self, dynamodb: &DynamoDb, redis: &Redis, models: Models) -> Result<Retriever, ClientError> {
        let reranker = RerankConfig::from_variables(&self.variables)?;
        let reranker = reranker.map(|config| Reranker::from_config(&config, &self.aws)).transpose()?;
        Ok(Retriever::new(dynamodb, redis, models, reranker, SearchConfig::from_variables(&self.variables)?))
    }
}

/// Credentials for an emulator, which takes any; but the SDK signs with some.
fn emulated_credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new("emulator", "emulator", None, None, "emulator"))
}

/// What can be warmed: any of them may be missing in a function that does not need it.
#[derive(Default)]
pub struct Clients<'a> {
    /// Warmed by one read.
    pub dynamodb: Option<&'a DynamoDb>,
    /// Warmed by a ping.
    pub redis: Option<&'a Redis>,
    /// Warmed by asking for an object that is not there.
    pub blobs: Option<&'a Blobs>,
}

impl Clients<'_> {
    /// Opens the connections side by side, for at most 1.5 seconds; what fails is left to the first request.
    pub async fn warm(self) {
        let all = async {
            tokio::join!(
                async {
                    if let Some(dynamodb) = self.dynamodb {
                        let _ = dynamodb.ping().await;
                    }
                },
                async {
                    if let Some(redis) = self.redis {
                        let _ = redis.ping().await;
                    }
                },
                async {
                    if let Some(blobs) = self.blobs {
                        let _ = blobs.ping().await;
                    }
                },
            )
        };
        if tokio::time::timeout(WARM_LIMIT, all).await.is_err() {
            tracing::warn!(limit_ms = WARM_LIMIT.as_millis(), "a dependency was not reached while starting");
        }
    }
}
