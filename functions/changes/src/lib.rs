//! Reads the stream of the main table and replaces the epochs of what went stale.
//!
//! Whoever writes through the API has replaced them already. This heals what that cannot: a writer that died in between,
//! a cache that could not be told, an answer that was made from an index that lagged, and writes behind the API's back.
//! An epoch replaced once more costs some cached answers and nothing else, so records may come twice and in any order.

mod stale;

use aws_lambda_events::dynamodb::Event;
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use futures::future::join_all;
use shared::clients::CacheError;
use shared::door::{Epochs, Scope};

use crate::stale::Stale;

/// What the function needs.
#[derive(Clone)]
pub struct State {
    /// The epochs of the tenants.
    pub epochs: Epochs,
}

/// Works on a batch of records in the order of the stream. The response names the earliest record that failed: Lambda
/// delivers again from there on, so nothing is tried again here.
pub async fn handle(state: State, event: Event) -> DynamoDbEventResponse {
    let stale = stale::by_tenant(&event.records);
    // Side by side, so that the commands share one round trip.
    let outcomes = join_all(stale.iter().map(|stale| renew(&state.epochs, stale))).await;
    let failed = stale.iter().zip(outcomes).filter_map(|(stale, outcome)| Some((stale, outcome.err()?)));
    let mut response = DynamoDbEventResponse::default();
    if let Some((stale, error)) = failed.min_by_key(|(stale, _)| stale.first) {
        // Without a number Lambda delivers the whole batch again, which is right too.
        let sequence_number = event.records[stale.first].change.sequence_number.clone();
        tracing::error!(tenant = %stale.tenant, sequence_number, %error, "the epochs were not replaced");
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = sequence_number;
        response.batch_item_failures.push(failure);
    }
    response
}

async fn renew(epochs: &Epochs, stale: &Stale) -> Result<(), CacheError> {
    let scopes: Vec<Scope> = stale.scopes.iter().copied().collect();
    match epochs.renew(&stale.tenant, &scopes).await {
        // Without a cache nothing is stale.
        Err(CacheError::NotConfigured) => Ok(()),
        outcome => outcome,
    }
}
