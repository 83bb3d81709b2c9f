//! What webhooks are told: documents that became ready or failed, and those that were deleted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::{Deserialize, Serialize};
use shared::clients::Message;
use shared::documents::{Document, Status};
use shared::error::Error;
use shared::telemetry::Traceparent;
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
            trace: Traceparent::current(),
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tests::{changes, key};

    const ID: &str = "01J9ZQ3W6V8Y0ABCDEFGHJKMNP";

    fn document(status: &str, version: u32) -> Value {
        let version = version.to_string();
        json!({
            "id": { "S": ID }, "collection": { "S": "board" }, "filename": { "S": "ducks.md" },
            "content_type": { "S": "text/markdown" }, "size_bytes": { "N": "5" }, "sha256": { "S": "00" },
            "version": { "N": version }, "status": { "S": status }, "stages": { "L": [] }, "chunk_count": { "N": "1" },
            "metadata": { "M": {} }, "created_at": { "S": "2026-11-24T00:00:00Z" },
            "updated_at": { "S": "2026-11-24T00:00:00Z" }, "created_by": { "S": "ada" },
        })
    }

    fn told(name: &'static str, before: Value, after: Value) -> Option<(Topic, Event)> {
        let changes = changes([(name, key("T#acme", &format!("DOC#{ID}")), before, after)]);
        event(&changes[0].1, ID.parse().unwrap()).unwrap()
    }

    #[test]
    fn webhooks_are_told_when_a_document_becomes_ready_or_fails_and_of_nothing_between() {
        let topic = |before, after| told("MODIFY", before, after).map(|(topic, _)| topic);
        for (before, after, expected) in [
            (document("indexing", 1), document("ready", 1), Some(Topic::DocumentReady)),
            (document("ready", 1), document("ready", 2), Some(Topic::DocumentReady)),
            (document("extracting", 1), document("failed", 1), Some(Topic::DocumentFailed)),
            (document("awaiting_upload", 1), document("failed", 1), Some(Topic::DocumentFailed)),
            (document("failed", 1), document("queued", 1), None),
            (document("queued", 1), document("extracting", 1), None),
            (document("ready", 1), document("queued", 2), None),
            (document("ready", 1), document("ready", 1), None),
            (document("failed", 1), document("failed", 1), None),
        ] {
            assert_eq!(topic(before.clone(), after.clone()), expected, "{before} {after}");
        }
        let made = told("INSERT", json!({}), document("awaiting_upload", 1));
        assert_eq!(made, None);
    }

    #[test]
    fn the_document_is_told_as_it_is_shown_and_little_of_one_that_is_gone() {
        let (_, ready) = told("MODIFY", document("indexing", 1), document("ready", 1)).unwrap();
        let shown = ["id", "filename", "status", "error"].map(|name| &ready.data[name]);
        assert_eq!(shown, [&json!(ID), &json!("ducks.md"), &json!("ready"), &Value::Null]);
        assert_eq!(ready.data.get("embedded_tokens"), None);
        let (topic, gone) = told("REMOVE", document("ready", 1), json!({})).unwrap();
        assert_eq!(topic, Topic::DocumentDeleted);
        assert_eq!(gone.data, json!({ "id": ID, "collection": "board", "filename": "ducks.md" }));
    }
}
