//! The worker that tells webhooks of events, signed after [Standard Webhooks](https://www.standardwebhooks.com).
//!
//! A message of the queue says that a webhook is to be told of an event; whether it was, and when it is due, says its
//! delivery in the database. So a message may come twice, early or late. What is not due yet is sent to the queue again,
//! delayed, rather than hidden: a queue has no more than 120,000 messages that were received and not removed, and one
//! tenant's dead receiver must not use them up for all.

mod attempt;
mod schedule;

use std::sync::Arc;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::stream::{self, StreamExt};
use shared::clients::{Message, Outside, Queue};
use shared::error::Error;
use shared::metrics;
use shared::telemetry;
use shared::webhooks::{Claim, Deliveries, Disabled, Notice, Reason, Secrets, Webhooks};
use time::{Duration, OffsetDateTime};
use tracing::Instrument;

/// Messages worked on side by side, at least as many as a batch has in the template: a slow receiver holds up nobody.
const SIDE_BY_SIDE: usize = 10;
/// For so long nobody else tries what a worker tries: more than an invocation can take.
const CLAIM: Duration = Duration::minutes(1);

/// What time it is.
pub type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// What the worker needs.
#[derive(Clone)]
pub struct State {
    /// Where messages go.
    pub webhooks: Webhooks,
    /// What became of them.
    pub deliveries: Deliveries,
    /// Opens what they are signed with.
    pub secrets: Secrets,
    /// The way there.
    pub outside: Outside,
    /// Where messages come from, and go back to when they are to be tried again.
    pub queue: Queue,
    /// The clock of the deployment, unless a test has another.
    pub clock: Clock,
}

/// Works on a batch of messages. Those that failed on our side come back; what a receiver did not take is sent again.
pub async fn handle(state: State, event: SqsEvent) -> SqsBatchResponse {
    let work = async |message: SqsMessage| {
        let message_id = message.message_id.unwrap_or_default();
        let about = telemetry::message(&message_id, None, None);
        let delivered = telemetry::caught(deliver(&state, message.body.as_deref().unwrap_or_default()));
        let delivered = delivered.instrument(about.clone()).await;
        let error = delivered.unwrap_or_else(|panic| Err(panic.into())).err()?;
        about.in_scope(|| tracing::error!(%error, "a message was not worked off"));
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = message_id;
        Some(failure)
    };
    let outcomes: Vec<_> = stream::iter(event.records).map(work).buffer_unordered(SIDE_BY_SIDE).collect().await;
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = outcomes.into_iter().flatten().collect();
    response
}

/// Tells a webhook of an event, if that is due. An error means that the message should come back.
async fn deliver(state: &State, body: &str) -> Result<(), Error> {
    let notice: Notice = serde_json::from_str(body).map_err(|error| Error::internal(format!("no notice: {error}")))?;
    let root = telemetry::job("webhooks", &notice.tenant, notice.event.document_id, notice.trace.clone());
    tell(state, &notice, body).instrument(root.span().clone()).await
}

async fn tell(state: &State, notice: &Notice, body: &str) -> Result<(), Error> {
    let (tenant, id, event) = (&notice.tenant, &notice.webhook, notice.event.id);
    let found = state.webhooks.find(tenant, id).await?;
    let Some(mut webhook) = found.filter(|webhook| webhook.registration == notice.registration) else {
        tracing::info!(%tenant, webhook = %id, %event, "the webhook is gone");
        return Ok(());
    };
    if webhook.renew_seal(tenant, &state.secrets)? {
        state.webhooks.keep_seal(tenant, &webhook).await?;
    }
    let (claim, attempts) = match state.deliveries.claim(notice, (state.clock)(), CLAIM).await? {
        Claim::Taken { until, attempts } => (until, attempts + 1),
        Claim::NotBefore(due) => return send_again(state, notice, body, due).await,
        Claim::Settled => return Ok(()),
    };
    let attempt = metrics::WEBHOOK_ATTEMPT.time(attempt::make(state, &webhook, notice)).await?;
    let (http_status, reason) = (attempt.http_status, attempt.reason);
    if attempt.reason.is_none() && attempt.http_status.is_some_and(|status| (200..300).contains(&status)) {
        state.deliveries.delivered(notice, &attempt).await?;
        metrics::WEBHOOK_DELIVERIES.add_of("delivered", 1);
        tracing::info!(%tenant, webhook = %id, %event, http_status, attempts, "delivered");
        return Ok(());
    }
    let next = match reason {
        Some(Reason::Gone) => {
            state.webhooks.disable(tenant, &webhook, Disabled::Gone).await?;
            None
        }
        Some(Reason::WebhookDisabled) => None,
        _ => schedule::next(&notice.event, attempts, (state.clock)()),
    };
    state.deliveries.failed(notice, claim, &attempt, next).await?;
    metrics::WEBHOOK_DELIVERIES.add_of(if next.is_some() { "failed" } else { "given_up" }, 1);
    tracing::warn!(%tenant, webhook = %id, %event, http_status, ?reason, attempts, again = next.is_some(), "not delivered");
    match next {
        Some(due) => send_again(state, notice, body, due).await,
        None => Ok(()),
    }
}

/// Sends a message again for when it is due, or as close to it as the queue delays.
async fn send_again(state: &State, notice: &Notice, body: &str, due: OffsetDateTime) -> Result<(), Error> {
    let delay = (due - (state.clock)()).try_into().unwrap_or_default();
    state.queue.send(Message { delay, ..Message::new(&notice.tenant, body) }).await
}
