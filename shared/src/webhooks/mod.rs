//! Webhooks: addresses that the admins of a tenant register, and what they are told of its documents.
//!
//! An [`Event`] follows from a record of the stream, and a [`Notice`] of it is sent to each webhook that wants it, by a
//! queue. What became of it is its [`Delivery`], which is the log that admins read and also the mark by which a notice that
//! comes twice is delivered once.

mod delivery;
mod event;
mod log;
mod secret;
mod store;

pub use delivery::{Attempt, Delivery, DeliveryStatus, Reason};
pub use event::{Event, EventType, Notice, Topic};
pub use log::{Claim, Deliveries};
pub use secret::{InvalidSecret, Secrets, WebhookSecret};
pub use store::{Disabled, MAX_WEBHOOKS, Webhook, Webhooks};

/// The variable that names the queue of notices.
pub const WEBHOOK_QUEUE: &str = "WEBHOOK_QUEUE_URL";
