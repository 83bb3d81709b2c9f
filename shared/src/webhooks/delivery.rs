use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::EventType;
use crate::tenancy::{DocumentId, EventId};

/// What became of telling a webhook of an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub struct Delivery {
    /// The event, which the receiver knows as `webhook-id`.
    pub id: EventId,
    /// What happened.
    pub event: EventType,
    /// The document that it happened to.
    #[schema(required)]
    pub document_id: Option<DocumentId>,
    /// How it stands.
    pub status: DeliveryStatus,
    /// What was tried, oldest first.
    pub attempts: Vec<Attempt>,
    /// When it is tried again, while it is pending.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    pub next_attempt_at: Option<OffsetDateTime>,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookDeliveryStatus)]
pub enum DeliveryStatus {
    /// It is tried again.
    Pending,
    /// The receiver has it.
    Delivered,
    /// It was given up.
    Failed,
}

impl DeliveryStatus {
    /// The word for it in JSON and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = WebhookAttempt)]
pub struct Attempt {
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The status that the receiver answered with, if it did.
    #[schema(required, minimum = 100, maximum = 999)]
    pub http_status: Option<u16>,
    /// What went wrong, if it is not the status alone.
    #[schema(required)]
    pub reason: Option<Reason>,
}

/// What went wrong with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookAttemptReason)]
pub enum Reason {
    /// The address, or what its host name stands for, is none that is spoken to.
    AddressNotAllowed,
    /// The connection, or its encryption, came to nothing.
    ConnectionFailed,
    /// The receiver is gone for good, and the webhook is disabled.
    Gone,
    /// There is no host by this name.
    HostNotFound,
    /// The receiver sent elsewhere; nobody went there.
    Redirected,
    /// The secret cannot be read any more; a new one is needed.
    SecretLost,
    /// The receiver took too long.
    TimedOut,
    /// The webhook was disabled meanwhile; nothing was sent.
    WebhookDisabled,
}
