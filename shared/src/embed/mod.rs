//! Text to vectors.

mod bedrock;
mod hashing;
mod models;
mod observed;
mod openai;
mod query;
mod tokens;

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;

pub use hashing::HashingEmbedder;
pub use models::{Model, Models};
use observed::Observed;
pub use query::QueryEmbeddings;
pub use tokens::estimated_tokens;

use crate::clients::ClientError;
use crate::config::{EmbedderKind, EmbeddingConfig};
use crate::error::Error;
use crate::metrics;

/// Turns text into vectors of unit length whose cosine tells how near two texts are in meaning.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// Names the model and its settings: vectors of different names must not be compared.
    fn model(&self) -> &str;

    /// The length of a vector.
    fn dimensions(&self) -> usize;

    /// The most tokens of a text that count; the rest would be ignored.
    fn window(&self) -> usize;

    /// How many tokens of the window a text takes, or an estimate that is rarely too low.
    fn tokens(&self, text: &str) -> usize {
        estimated_tokens(text)
    }

    /// One vector for each text, in order.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// Why there are no vectors.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The embedder is away or overloaded; trying again may help.
    #[error("the embedder is not available: {0}")]
    Unavailable(String),
    /// The embedder refuses this input; trying again will not help.
    #[error("the embedder refused the input: {0}")]
    Refused(String),
}

impl From<EmbedError> for Error {
    fn from(error: EmbedError) -> Self {
        match error {
            EmbedError::Unavailable(_) => Self::unavailable(error.to_string()),
            EmbedError::Refused(_) => Self::internal(error),
        }
    }
}

/// The model that the configuration names.
pub fn from_config(config: &EmbeddingConfig, aws: &SdkConfig) -> Result<Model, ClientError> {
    let (embedder, provider): (Arc<dyn Embedder>, _) = match config.kind {
        EmbedderKind::Bedrock => (Arc::new(bedrock::BedrockEmbedder::new(config, aws)), "aws.bedrock"),
        EmbedderKind::Openai => (Arc::new(openai::OpenaiEmbedder::new(config)?), "openai"),
        EmbedderKind::Hashing => (Arc::new(HashingEmbedder::new(config.dimensions)), "ragline"),
    };
    Ok(Model { edition: config.edition, embedder: Arc::new(Observed::new(embedder, provider)) })
}

/// Asks a model for the vectors of texts, and takes the time.
pub async fn vectors(embedder: &dyn Embedder, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
    metrics::EMBEDDER_BATCH.record(texts.len() as f64);
    let vectors = metrics::EMBEDDER_CALL.time(embedder.embed(texts)).await;
    vectors.inspect_err(|_| metrics::EMBEDDER_FAILURES.add(1))
}

/// Scales a vector to unit length; a zero vector stays.
pub fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        for x in vector {
            *x /= length;
        }
    }
}
