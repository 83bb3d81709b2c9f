//! The worker: text from bytes, passages from text, vectors from passages, all of it into the index.
//!
//! Every step may run twice and end the same: keys follow from the place of a passage, and a version becomes visible by
//! one conditional write.

mod chunk;
mod extract;
mod extractor;
mod notification;
mod pipeline;
mod text;

use std::sync::Arc;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use shared::chunks::Chunks;
use shared::clients::Blobs;
use shared::config::{ConfigError, Variables};
use shared::documents::Documents;
use shared::door::Epochs;
use shared::embed::Embedder;

pub use chunk::{Passage, split};
pub use extractor::{Extractor, Limits, NotExtracted, extract_if_told};
pub use text::{Block, Kind, Text};

/// What the worker needs.
#[derive(Clone)]
pub struct State {
    /// The documents.
    pub documents: Documents,
    /// Their passages.
    pub chunks: Chunks,
    /// Their originals.
    pub blobs: Blobs,
    /// Makes text of originals.
    pub extractor: Extractor,
    /// Turns passages into vectors.
    pub embedder: Arc<dyn Embedder>,
    /// Tells the cache how a document gets on.
    pub epochs: Epochs,
    /// How often a message is tried.
    pub config: Config,
}

/// How the worker works.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// `INGEST_MAX_ATTEMPTS`: after so many deliveries of a message its document is `failed`; the queue's own maximum (5).
    pub max_attempts: u64,
}

impl Config {
    /// Reads the variable named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self { max_attempts: variables.number("INGEST_MAX_ATTEMPTS", 5, 1..=1_000)? })
    }
}

/// Works on a batch of messages, each an S3 notification. Those that failed come back; the rest are done.
pub async fn handle(state: State, event: SqsEvent) -> SqsBatchResponse {
    let mut failures = Vec::new();
    for message in event.records {
        if let Err(error) = pipeline::run(&state, &message).await {
            let message_id = message.message_id.unwrap_or_default();
            tracing::error!(message_id, %error, "a message was not worked off");
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = message_id;
            failures.push(failure);
        }
    }
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failures;
    response
}
