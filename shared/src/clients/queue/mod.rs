//! Queues: SQS, or a folder of this machine that does as SQS does.

mod folder;
mod sqs;

use std::time::Duration;

use aws_config::SdkConfig;

pub use self::folder::{FolderQueue, Place};
use self::sqs::SqsQueue;
use super::ClientError;
use crate::config::QueueConfig;
use crate::error::Error;
use crate::tenancy::TenantId;

/// The longest that a message can be delayed.
pub const LONGEST_DELAY: Duration = Duration::from_mins(15);
/// The longest that a message can be hidden, from the time it was received.
pub const LONGEST_HIDING: Duration = Duration::from_hours(12);

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it says; at most 1 MiB.
    pub body: String,
    /// Whom it concerns. A queue is fair among groups: one with many messages does not hold up the others.
    pub group: TenantId,
    /// How long it stays hidden at first; more than [`LONGEST_DELAY`] counts as that.
    pub delay: Duration,
}

impl Message {
    /// A message that may be received at once.
    pub fn new(group: &TenantId, body: impl Into<String>) -> Self {
        Self { body: body.into(), group: group.clone(), delay: Duration::ZERO }
    }
}

/// A queue that messages are sent to, and on which a worker keeps those hidden that it works on. Who receives them is the
/// event source: Lambda's, or `local`'s.
#[derive(Debug, Clone)]
pub struct Queue(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Sqs(SqsQueue),
    Folder(FolderQueue),
}

impl Queue {
    pub(super) fn open(aws: &SdkConfig, config: &QueueConfig) -> Result<Self, ClientError> {
        Ok(Self(match config {
            QueueConfig::Sqs(url) => Kind::Sqs(SqsQueue::new(aws, url)),
            QueueConfig::Folder(folder) => {
                let opened = FolderQueue::open(folder);
                Kind::Folder(opened.map_err(|error| ClientError::Build(format!("{}: {error}", folder.display())))?)
            }
        }))
    }

    /// Sends a message. Once this has returned, it will be delivered, perhaps more than once.
    pub async fn send(&self, message: Message) -> Result<(), Error> {
        match &self.0 {
            Kind::Sqs(queue) => queue.send(message).await,
            Kind::Folder(queue) => {
                queue.send(Some(&message.group), &message.body, message.delay).map_err(|error| away(&error))
            }
        }
    }

    /// Hides a message that was received for this long from now, whether that is longer or shorter than it is hidden now;
    /// more than [`LONGEST_HIDING`] counts as that. An error if the message is gone, or somebody else has received it.
    pub async fn hide(&self, receipt_handle: &str, span: Duration) -> Result<(), Error> {
        let span = span.min(LONGEST_HIDING);
        match &self.0 {
            Kind::Sqs(queue) => queue.hide(receipt_handle, span).await,
            Kind::Folder(queue) => queue.hide(receipt_handle, span).map_err(|error| away(&error)),
        }
    }

    /// Its name, the last part of its ARN, by which events tell where a message was received.
    pub fn name(&self) -> &str {
        match &self.0 {
            Kind::Sqs(queue) => queue.name(),
            Kind::Folder(queue) => queue.name(),
        }
    }
}

fn away(error: &std::io::Error) -> Error {
    Error::unavailable(format!("the folder of a queue: {error}"))
}
