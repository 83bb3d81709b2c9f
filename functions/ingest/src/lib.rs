//! The worker: text from bytes, passages from text, vectors from passages, all of it into the index.
//!
//! Every step may run twice and end the same: keys follow from the place of a passage, and a version becomes visible by
//! one conditional write.

mod chunk;
mod embedding;
mod extract;
mod extractor;
mod notification;
mod pipeline;
mod text;

use std::sync::Arc;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use shared::chunks::Chunks;
use shared::clients::{Blobs, Queue};
use shared::config::{ConfigError, Variables};
use shared::documents::Documents;
use shared::door::Epochs;
use shared::embed::Embedder;
use shared::texts::Texts;

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
    /// What is read in them.
    pub texts: Texts,
    /// Makes text of originals.
    pub extractor: Extractor,
    /// Turns passages into vectors.
    pub embedder: Arc<dyn Embedder>,
    /// Tells the cache how a document gets on.
    pub epochs: Epochs,
    /// The queue of work, `INGEST_QUEUE_URL`.
    pub queue: Queue,
    /// How a message is tried.
    pub config: Config,
}

/// How the worker works.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// `INGEST_MAX_ATTEMPTS`: after so many deliveries of a message its document is `failed`; the queue's own maximum (5).
    pub max_attempts: u64,
    /// `INGEST_EMBED_BATCH`: passages whose vectors are asked for together (32).
    pub embed_batch: usize,
    /// `INGEST_EMBED_CONCURRENCY`: batches in work at a time, for each document (4).
    pub embed_concurrency: usize,
}

impl Config {
    /// Reads the variable named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        let number = |name, default| {
            let number = variables.number(name, default, 1..=1_000)?;
            Ok::<_, ConfigError>(usize::try_from(number).unwrap_or(1_000))
        };
        Ok(Self {
            max_attempts: variables.number("INGEST_MAX_ATTEMPTS", 5, 1..=1_000)?,
            embed_batch: number("INGEST_EMBED_BATCH", 32)?,
            embed_concurrency: number("INGEST_EMBED_CONCURRENCY", 4)?,
        })
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
