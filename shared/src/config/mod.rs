//! Configuration, read from the environment once, in `main`. One struct per concern; the documentation of each field
//! names its variable, and a wrong value stops the start with an error that names it too.

mod auth;
mod blobs;
mod door;
mod dynamodb;
mod embedding;
mod idempotency;
mod llm;
mod origins;
mod queue;
mod redis;
mod rerank;
mod search;
mod signing;
mod telemetry;
mod variables;
mod webhooks;

pub use auth::AuthConfig;
pub use blobs::{BlobsConfig, BlobsLocation};
pub use door::DoorConfig;
pub use dynamodb::DynamoDbConfig;
pub use embedding::{EmbedderKind, EmbeddingConfig};
pub use idempotency::IdempotencyConfig;
pub use llm::{LlmConfig, LlmKind, Price};
pub use origins::AllowedOrigins;
pub use queue::QueueConfig;
pub use redis::RedisConfig;
pub use rerank::{RerankConfig, RerankerKind};
pub use search::SearchConfig;
pub use signing::{SigningConfig, SigningSecret};
pub use telemetry::{LogFormat, SentryConfig, TelemetryConfig, TracesConfig};
pub use variables::{ConfigError, Variables};
pub use webhooks::Reach;
