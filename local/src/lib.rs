//! The whole API in one process for a laptop: the routers of the functions, an embedded DynamoDB, a real Redis, files on
//! disk, and the workers' own handlers behind a small queue and the stream of the database.

mod dynamodb;
mod embeddings;
mod folder;
mod issuer;
mod metrics;
mod minilm;
mod models;
mod objects;
mod peer;
mod port;
mod queue;
mod redis;
mod secret;
mod server;
mod settings;
mod stream_records;
mod streams;
pub mod watch;
mod workers;

pub use dynamodb::EmbeddedDynamoDb;
pub use folder::DataFolder;
pub use issuer::{Issuer, TokenClaims};
pub use minilm::{MiniLm, ModelError};
pub use redis::redis_server;
pub use server::{Running, StartError, start};
pub use settings::{EmbedderChoice, Settings};
