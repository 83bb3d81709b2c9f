//! The worker: text from bytes, passages from text, vectors from passages, all of it into the index.
//!
//! Every step may run twice and end the same: keys follow from the place of a passage, and a version becomes visible by
//! one conditional write.

mod arrivals;
mod chunk;
mod embedding;
mod extract;
mod extractor;
mod heartbeat;
mod language;
mod notification;
mod pipeline;
mod reembedding;
mod surrender;
mod terms;
mod text;

use std::time::Duration;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use shared::chunks::Chunks;
use shared::clients::{Blobs, Builder, ClientError, DynamoDb, Queue, Redis};
use shared::collections::Collections;
use shared::config::{ConfigError, Variables};
use shared::documents::Documents;
use shared::door::Epochs;
use shared::embed::Models;
use shared::error::Error;
use shared::metrics;
use shared::telemetry;
use shared::tenants::Tenants;
use shared::texts::Texts;
use tracing::Instrument;

pub use chunk::{Passage, split};
pub use extractor::{Extractor, Limits, NotExtracted, extract_if_told};
pub use text::{Block, Kind, Text};

/// What the worker needs.
#[derive(Clone)]
pub struct State {
    /// The tenants.
    pub tenants: Tenants,
    /// Their collections.
    pub collections: Collections,
    /// The documents in them.
    pub documents: Documents,
    /// Their passages.
    pub chunks: Chunks,
    /// Their originals.
    pub blobs: Blobs,
    /// What is read in them.
    pub texts: Texts,
    /// Makes text of originals.
    pub extractor: Extractor,
    /// Turn passages into vectors.
    pub models: Models,
    /// Tells the cache how a document gets on.
    pub epochs: Epochs,
    /// The queue of work, `INGEST_QUEUE_URL`.
    pub queue: Queue,
    /// How a message is tried.
    pub config: Config,
}

impl State {
    /// What the worker needs, over these clients.
    pub fn new(
        builder: &Builder,
        (dynamodb, redis, blobs): (&DynamoDb, &Redis, &Blobs),
        models: Models,
        extractor: Extractor,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            tenants: Tenants::new(dynamodb),
            collections: Collections::new(dynamodb),
            documents: Documents::new(dynamodb),
            chunks: Chunks::new(dynamodb),
            blobs: blobs.clone(),
            texts: Texts::new(blobs),
            extractor,
            models,
            epochs: builder.epochs(redis, dynamodb)?,
            queue: builder.queue("INGEST_QUEUE_URL")?,
            config: Config::from_variables(builder.variables())?,
        })
    }
}

/// How the worker works.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// `INGEST_MAX_ATTEMPTS`: how often a message is tried (5). The queue's own maximum is one more: when the message comes
    /// once more, its document is `failed`.
    pub max_attempts: u64,
    /// `INGEST_RETRY_MS`: how long a message that failed waits for the second attempt (60,000); twice as long for each
    /// further one.
    pub retry: Duration,
    /// `INGEST_HEARTBEAT_MS`: how often the message in work is hidden again (20,000).
    pub heartbeat: Duration,
    /// `INGEST_EMBED_BATCH`: passages whose vectors are asked for together (32).
    pub embed_batch: usize,
    /// `INGEST_EMBED_CONCURRENCY`: batches in work at a time, for each document (4).
    pub embed_concurrency: usize,
    /// `INGEST_TERMS`: the most exact terms that a passage is found by (128); 0 for none.
    pub terms: usize,
}

impl Config {
    /// Reads the variables named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        let number = |name, default, least| {
            let number = variables.number(name, default, least..=1_000)?;
            Ok::<_, ConfigError>(usize::try_from(number).unwrap_or(1_000))
        };
        Ok(Self {
            max_attempts: variables.number("INGEST_MAX_ATTEMPTS", 5, 1..=100)?,
            retry: variables.milliseconds("INGEST_RETRY_MS", 60_000)?,
            heartbeat: variables.milliseconds("INGEST_HEARTBEAT_MS", 20_000)?,
            embed_batch: number("INGEST_EMBED_BATCH", 32, 1)?,
            embed_concurrency: number("INGEST_EMBED_CONCURRENCY", 4, 1)?,
            terms: number("INGEST_TERMS", 128, 0)?,
        })
    }

    fn pause_after(self, attempt: u64) -> Duration {
        let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.retry.saturating_mul(2_u32.saturating_pow(doublings))
    }
}

/// Works on a batch of messages: notifications of the storage, which go on to the queue of work, and messages of that queue.
/// Those that failed come back; the rest are done.
pub async fn handle(state: State, event: SqsEvent) -> SqsBatchResponse {
    let mut failures = Vec::new();
    for message in event.records {
        let message_id = message.message_id.as_deref().unwrap_or_default();
        let keys = notification::announced(&message).unwrap_or_default();
        let key = keys.first();
        let about = telemetry::message(message_id, key.map(|key| &key.tenant), key.map(|key| key.document));
        let outcome = telemetry::caught(async {
            if arrivals::is_new(&message, &state.queue) {
                arrivals::forward(&message, &state).await
            } else {
                work(&state, &message).await
            }
        });
        let outcome = outcome.instrument(about.clone()).await.unwrap_or_else(|panic| Err(panic.into()));
        if let Err(error) = outcome {
            about.in_scope(|| tracing::error!(%error, "a message was not worked off"));
            let mut failure = BatchItemFailure::default();
            message_id.clone_into(&mut failure.item_identifier);
            failures.push(failure);
        }
    }
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failures;
    response
}

/// Tries a message, which stays hidden meanwhile, and if that fails for a while longer.
async fn work(state: &State, message: &SqsMessage) -> Result<(), Error> {
    let (config, receipt_handle) = (state.config, message.receipt_handle.as_deref().unwrap_or_default());
    let attempt = notification::attempt(message);
    let (done, pause) = if attempt > config.max_attempts {
        // Nothing more will be tried: at once to the dead letters.
        (surrender::give_up(state, message).await, Duration::ZERO)
    } else {
        let tried = Box::pin(pipeline::run(state, message));
        (heartbeat::during(tried, &state.queue, receipt_handle, config.heartbeat).await, config.pause_after(attempt))
    };
    if done.is_err() && attempt <= config.max_attempts {
        metrics::INGEST_RETRIES.add(1);
    }
    if done.is_err()
        && let Err(error) = state.queue.hide(receipt_handle, pause).await
    {
        tracing::warn!(%error, "a message that failed comes back at another time than it should");
    }
    done
}
