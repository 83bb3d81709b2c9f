use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::future::BoxFuture;
use shared::clients::{FolderQueue, Place};

use crate::watch::{Function, InvokeError};

type Handler = dyn Fn(SqsEvent) -> BoxFuture<'static, SqsBatchResponse> + Send + Sync;

/// Who works messages off.
#[derive(Clone)]
pub(crate) enum Worker {
    /// The handler of the function, in this process.
    InProcess(Arc<Handler>),
    /// The function itself, in another process.
    Function(Function),
}

/// Messages were not worked off, nor named as failed.
#[derive(Debug)]
pub(super) enum WorkError {
    /// There was no worker; nothing was tried.
    Absent(String),
    /// The worker gave no answer.
    Failed(String),
}

impl Worker {
    /// A handler with all that it needs.
    pub(crate) fn in_process<F>(handler: impl Fn(SqsEvent) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = SqsBatchResponse> + Send + 'static,
    {
        Self::InProcess(Arc::new(move |event| Box::pin(handler(event))))
    }

    pub(super) async fn work(&self, event: SqsEvent) -> Result<SqsBatchResponse, WorkError> {
        match self {
            Self::InProcess(handler) => Ok(handler(event).await),
            Self::Function(function) => function.invoke(&event).await.map_err(|error| match error {
                InvokeError::Absent(error) => WorkError::Absent(error),
                InvokeError::Failed(error) => WorkError::Failed(error),
            }),
        }
    }
}

/// A message as it stands in an event of Lambda.
pub(super) fn message(queue: &FolderQueue, place: &Place) -> io::Result<SqsMessage> {
    let mut message = SqsMessage::default();
    message.message_id = Some(place.id.clone());
    message.receipt_handle = Some(place.receipt_handle());
    message.body = Some(queue.body(place)?);
    message.attributes = HashMap::from([("ApproximateReceiveCount".to_owned(), place.receives.to_string())]);
    if let Some(group) = &place.group {
        message.attributes.insert("MessageGroupId".to_owned(), group.to_string());
    }
    message.event_source = Some("aws:sqs".to_owned());
    message.event_source_arn = Some(format!("arn:aws:sqs:local:000000000000:{}", queue.name()));
    message.aws_region = Some("local".to_owned());
    Ok(message)
}
