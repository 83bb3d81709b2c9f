//! What webhooks are told: documents that became ready or failed, and those that were deleted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::{Deserialize, Serialize};
use shared::clients::Message;
use shared::documents::{Document, Status};
use shared::error::Error;
use shared::tenancy::{CollectionId, DocumentId, EventId, TenantId};
use shared::webhooks::{Event, Notice, Topic, Webhook};

use crate::State;
use crate::change::Change;
use crate::follow_up::Fault;

/// The webhooks of the tenants of a batch, each tenant's read once, when it first is told of something.
#[derive(Default)]
pub(crate) struct WebhooksOfTenants(HashMap<TenantId, Vec<Webhook>>);

impl WebhooksOfTenants {
    async fn of(&mut self, state: &State, tenant: &TenantId) -> Result<&[Webhook], Error> {
        Ok(match self.0.entry(tenant.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(state.webhooks.all(tenant).await?),
        })
    }
}

/// Sends a notice to each webhook that is to be told of what happened to a document. A record that comes twice makes the
/// same notices again, of the same event, which is delivered once.
pub(crate) async fn send(
    state: &State,
    change: &Change,
    id: DocumentId,
    webhooks: &mut WebhooksOfTenants,
) -> Result<(), Fault> {
    let Some((topic, event)) = event(change, id)? else { return Ok(()) };
    let tenant = &change.tenant;
    for webhook in webhooks.of(state, tenant).await?.iter().filter(|webhook| webhook.wants(topic)) {
        let notice = Notice {
            tenant: tenant.clone(),
            webhook: webhook.id.clone(),
            registration: webhook.registration,
            event: event.clone(),
        };
        let body = serde_json::to_string(&notice).map_err(Error::internal)?;
        state.webhook_queue.send(Message::new(tenant, body)).await?;
    }
    Ok(())
}

/// What is said of a document that is gone.
#[derive(Serialize)]
struct Deleted {
    id: DocumentId,
    #[serde(flatten)]
    was: Was,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Was {
    collection: Option<CollectionId>,
    filename: Option<String>,
}

/// What happened to a document, if webhooks can be told of it.
fn event(change: &Change, id: DocumentId) -> Result<Option<(Topic, Event)>, Fault> {
    #[derive(Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Progress {
        status: Option<Status>,
        version: u32,
    }
    let (before, after): (Progress, Progress) = change.sides()?;
    let topic = match after.status {
        _ if change.is_removal() => Topic::DocumentDeleted,
        _ if before == after => return Ok(None),
        Some(Status::Ready) => Topic::DocumentReady,
        Some(Status::Failed) => Topic::DocumentFailed,
        _ => return Ok(None),
    };
    let data = match change.now::<Document>()? {
        Some(document) => serde_json::to_value(document),
        None => serde_json::to_value(Deleted { id, was: change.sides()?.0 }),
    };
    let data = data.map_err(Error::internal)?;
    let parts = [change.tenant.as_str(), &change.record];
    let event =
        Event { id: EventId::of(change.at, &parts), kind: topic.into(), at: change.at, document_id: Some(id), data };
    Ok(Some((topic, event)))
}
