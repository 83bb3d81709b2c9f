use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::error::Error;
use crate::telemetry::Traceparent;
use crate::tenancy::{DocumentId, EventId, RegistrationId, TenantId, WebhookId};

/// What webhooks can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[schema(as = WebhookTopic)]
pub enum Topic {
    /// A document can be found, or a new version of it.
    #[serde(rename = "document.ready")]
    DocumentReady,
    /// A document, or a new version of it, cannot be used.
    #[serde(rename = "document.failed")]
    DocumentFailed,
    /// A document was deleted.
    #[serde(rename = "document.deleted")]
    DocumentDeleted,
}

impl Topic {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::DocumentReady, Self::DocumentFailed, Self::DocumentDeleted];
}

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = WebhookEventType)]
pub enum EventType {
    /// See [`Topic::DocumentReady`].
    #[serde(rename = "document.ready")]
    DocumentReady,
    /// See [`Topic::DocumentFailed`].
    #[serde(rename = "document.failed")]
    DocumentFailed,
    /// See [`Topic::DocumentDeleted`].
    #[serde(rename = "document.deleted")]
    DocumentDeleted,
    /// Somebody tries the webhook.
    #[serde(rename = "webhook.test")]
    WebhookTest,
}

impl From<Topic> for EventType {
    fn from(topic: Topic) -> Self {
        match topic {
            Topic::DocumentReady => Self::DocumentReady,
            Topic::DocumentFailed => Self::DocumentFailed,
            Topic::DocumentDeleted => Self::DocumentDeleted,
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Names it.
    pub id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The document that it happened to.
    pub document_id: Option<DocumentId>,
    /// What receivers are told of it.
    pub data: Value,
}

impl Event {
    /// The body of a message about it: the same bytes each time, since they are signed.
    pub fn body(&self) -> Result<Vec<u8>, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            r#type: EventType,
            #[serde(with = "time::serde::rfc3339")]
            timestamp: OffsetDateTime,
            data: &'a Value,
        }
        let body = Body { r#type: self.kind, timestamp: self.at, data: &self.data };
        serde_json::to_vec(&body).map_err(Error::internal)
    }
}

/// A message of the queue: this webhook is to be told of this event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Whose webhook it is.
    pub tenant: TenantId,
    /// The webhook.
    pub webhook: WebhookId,
    /// As what its address was registered: another that has its id by now is not told.
    pub registration: RegistrationId,
    /// The event.
    pub event: Event,
    /// The request that it goes back to: telling of it is a part of its trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Traceparent>,
}
