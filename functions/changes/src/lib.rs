//! Reads the stream of the main table: replaces the epochs of what went stale, removes what is left of what was deleted,
//! adds up what tenants use, and tells their webhooks.
//!
//! Whoever writes through the API has replaced the epochs already. This heals what that cannot: a writer that died in
//! between, a cache that could not be told, an answer that was made from an index that lagged, and writes behind the API's
//! back. An epoch replaced once more costs some cached answers and nothing else, so records may come twice and in any order.

mod change;
mod follow_up;
mod notices;
mod stale;

use std::time::Duration;

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use futures::future::join_all;
use shared::chunks::Chunks;
use shared::clients::{Blobs, CacheError, DynamoDb, Queue};
use shared::collections::Collections;
use shared::conversations::Conversations;
use shared::documents::Documents;
use shared::door::{Epochs, Scope};
use shared::keys::Keys;
use shared::metrics;
use shared::telemetry;
use shared::usage::Usage;
use shared::users::Users;
use shared::webhooks::Webhooks;
use time::OffsetDateTime;

use crate::change::Change;
use crate::follow_up::{Fault, follow_up};
use crate::notices::WebhooksOfTenants;
use crate::stale::Stale;

/// What the function needs.
#[derive(Clone)]
pub struct State {
    epochs: Epochs,
    collections: Collections,
    documents: Documents,
    chunks: Chunks,
    blobs: Blobs,
    users: Users,
    keys: Keys,
    conversations: Conversations,
    usage: Usage,
    webhooks: Webhooks,
    webhook_queue: Queue,
}

impl State {
    /// All of it over these clients.
    pub fn new(epochs: Epochs, dynamodb: &DynamoDb, blobs: Blobs, webhook_queue: Queue) -> Self {
        Self {
            epochs,
            collections: Collections::new(dynamodb),
            documents: Documents::new(dynamodb),
            chunks: Chunks::new(dynamodb),
            blobs,
            users: Users::new(dynamodb),
            keys: Keys::new(dynamodb),
            conversations: Conversations::new(dynamodb),
            usage: Usage::new(dynamodb),
            webhooks: Webhooks::new(dynamodb),
            webhook_queue,
        }
    }
}

/// Works on a batch of records in the order of the stream. The response names the earliest record that failed: Lambda
/// delivers again from there on, so nothing is tried again here.
pub async fn handle(state: State, event: Event) -> DynamoDbEventResponse {
    measure(&event.records);
    let changes = read(&event.records);
    let stale_failure = renew_all(&state, &stale::by_tenant(&changes)).await;
    // In their order, and only after the cache was told: removing can take its time.
    let mut failure = stale_failure;
    let mut webhooks = WebhooksOfTenants::default();
    for (place, change) in &changes {
        let followed = telemetry::caught(change.within(follow_up(&state, change, &mut webhooks))).await;
        match followed.unwrap_or_else(|panic| Err(Fault::Failed(panic.into()))) {
            Ok(()) => {}
            Err(Fault::Malformed(error)) => skipped(&event.records[*place], &error),
            Err(Fault::Failed(error)) => {
                tracing::error!(tenant = %change.tenant, record = change.record, %error, "a change was not followed up");
                failure = Some(failure.map_or(*place, |first| first.min(*place)));
                break;
            }
        }
    }
    let mut response = DynamoDbEventResponse::default();
    if let Some(first) = failure {
        let mut failed = DynamoDbBatchItemFailure::default();
        // Without a number Lambda delivers the whole batch again, which is right too.
        failed.item_identifier.clone_from(&event.records[first].change.sequence_number);
        response.batch_item_failures.push(failed);
    }
    response
}

/// Takes note of how late the records are. They say when to the second, so less than one is none.
fn measure(records: &[EventRecord]) {
    metrics::STREAM_RECORDS.add(records.len() as u64);
    let written = records.iter().map(|record| record.change.approximate_creation_date_time.timestamp()).min();
    if let Some(written) = written {
        let late = OffsetDateTime::now_utc().unix_timestamp().saturating_sub(written);
        metrics::STREAM_LAG.took(Duration::from_secs(u64::try_from(late).unwrap_or(0)));
    }
}

/// The changes of a batch with their places in it. A record that cannot be understood is logged and left out, or it would
/// hold up the stream for as long as it is delivered again.
fn read(records: &[EventRecord]) -> Vec<(usize, Change)> {
    let mut changes = Vec::with_capacity(records.len());
    for (place, record) in records.iter().enumerate() {
        match Change::read(record) {
            Ok(change) => changes.extend(change.map(|change| (place, change))),
            Err(error) => skipped(record, &error),
        }
    }
    changes
}

fn skipped(record: &EventRecord, error: &impl std::fmt::Display) {
    let sequence_number = record.change.sequence_number.as_deref();
    tracing::warn!(sequence_number, %error, "a record of the stream was skipped");
}

/// Replaces the epochs of all tenants side by side, so that the commands share one round trip. The place of the first
/// record of which the cache could not be told.
async fn renew_all(state: &State, stale: &[Stale]) -> Option<usize> {
    let outcomes = join_all(stale.iter().map(|stale| renew(&state.epochs, stale))).await;
    let failed = stale.iter().zip(outcomes).filter_map(|(stale, outcome)| Some((stale, outcome.err()?)));
    let (stale, error) = failed.min_by_key(|(stale, _)| stale.first)?;
    tracing::error!(tenant = %stale.tenant, %error, "the epochs were not replaced");
    Some(stale.first)
}

async fn renew(epochs: &Epochs, stale: &Stale) -> Result<(), CacheError> {
    let scopes: Vec<Scope> = stale.scopes.iter().copied().collect();
    match epochs.renew(&stale.tenant, &scopes).await {
        // Without a cache nothing is stale.
        Err(CacheError::NotConfigured) => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The key of an item as records hold it.
    pub(crate) fn key(pk: &str, sk: &str) -> Value {
        json!({ "pk": { "S": pk }, "sk": { "S": sk } })
    }

    /// What is read of records, each with its kind, key, old image and new image.
    pub(crate) fn changes(
        records: impl IntoIterator<Item = (&'static str, Value, Value, Value)>,
    ) -> Vec<(usize, Change)> {
        let record = |(name, keys, before, after): (&str, Value, Value, Value)| {
            json!({
                "eventID": "1", "eventName": name, "awsRegion": "us-east-1",
                "dynamodb": {
                    "Keys": keys, "OldImage": before, "NewImage": after, "SequenceNumber": "111", "SizeBytes": 1,
                },
            })
        };
        let records: Vec<Value> = records.into_iter().map(record).collect();
        let event: Event = serde_json::from_value(json!({ "Records": records })).unwrap();
        read(&event.records)
    }
}
