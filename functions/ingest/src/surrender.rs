//! What is left to do for a message that was tried often enough.

use aws_lambda_events::sqs::SqsMessage;
use shared::acting;
use shared::clients::BlobKey;
use shared::documents::{ErrorCode, Failure, Status};
use shared::error::Error;
use shared::tasks::Task;
use time::OffsetDateTime;

use crate::notification::{announced, attempt};
use crate::{State, pipeline};

/// For a message that comes once more than it is tried: the last attempt failed, or the worker died over it. Its document
/// becomes `failed`, so that nobody waits for ever, and the error sends the message to the dead letters, from where it can be
/// tried anew. A message that there is nothing left to do for is done.
pub(crate) async fn give_up(state: &State, message: &SqsMessage) -> Result<(), Error> {
    let mut in_vain = false;
    for key in concerned(message)? {
        in_vain |= acting::for_tenant(&key.tenant, is_in_vain(state, &key)).await?;
    }
    if in_vain { Err(Error::internal(format!("tried {} times in vain", attempt(message) - 1))) } else { Ok(()) }
}

/// Whether nobody came to an end with a document, which then is `failed`.
async fn is_in_vain(state: &State, key: &BlobKey) -> Result<bool, Error> {
    let found = state.documents.find(&key.tenant, key.document).await?;
    let Some(document) = found.filter(|found| found.version == key.version) else {
        pipeline::clear(state, key).await?;
        return Ok(false);
    };
    match document.status {
        Status::Ready => return Ok(false),
        Status::Failed => {}
        _ => {
            tracing::error!(tenant = %key.tenant, document = %key.document, "given up: no worker came to an end with it");
            let now = OffsetDateTime::now_utc();
            state.documents.failed(&key.tenant, &document, &failure(ErrorCode::Internal), now).await?;
        }
    }
    Ok(true)
}

fn concerned(message: &SqsMessage) -> Result<Vec<BlobKey>, Error> {
    match Task::read(message.body.as_deref().unwrap_or_default()) {
        Some(Task::Expire(awaited)) => Ok(vec![awaited.key()]),
        _ => announced(message).map_err(Error::internal),
    }
}

/// What the person who uploaded the file is told.
pub(crate) fn failure(code: ErrorCode) -> Failure {
    Failure { code, detail: "The document could not be processed, although it was tried repeatedly.".into() }
}
