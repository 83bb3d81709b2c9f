use axum::Extension;
use axum::extract::State as Extract;
use http::StatusCode;
use serde::Serialize;
use sha2::{Digest, Sha256};
use shared::clients::BlobKey;
use shared::documents::{Created, Document, ErrorCode, Status};
use shared::door::{Changed, Scope};
use shared::error::Error;
use shared::http::Json;
use shared::openapi::IdempotencyHeader;
use shared::tenancy::{DocumentId, Permission, Principal};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::State;
use crate::form::{Described, Form};

/// A document that was accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = Uploaded)]
pub(crate) struct Answer {
    document: Document,
    /// Whether the bytes were in the collection already.
    duplicate: bool,
}

/// Enters the document, then stores its bytes; the storage's notification wakes the worker. If this dies in between, the
/// document waits for its bytes, and the same upload again brings them.
#[utoipa::path(
    post, path = "/documents/upload", tag = "documents", operation_id = "uploadDocument",
    summary = "Upload a document",
    params(IdempotencyHeader),
    request_body(content = Described, content_type = "multipart/form-data"),
    responses(
        (status = 202, description = "It is accepted.", body = Answer),
        (status = 200, description = "The same bytes are in the collection already.", body = Answer),
    ),
    extensions(("x-lowest-role" = json!("editor"))),
)]
pub(crate) async fn upload(
    Extract(state): Extract<State>,
    principal: Principal,
    form: Form,
) -> Result<(StatusCode, Extension<Changed>, Json<Answer>), Error> {
    if !principal.reads(&form.collection) {
        return Err(no_such_collection());
    }
    principal.require_in(Permission::Write, &form.collection)?;
    let now = OffsetDateTime::now_utc();
    let document = Document {
        id: DocumentId::new(),
        collection: form.collection,
        filename: form.filename,
        content_type: form.content_type,
        size_bytes: form.bytes.len() as u64,
        sha256: hex::encode(Sha256::digest(&form.bytes)),
        version: 1,
        served_version: None,
        status: Status::AwaitingUpload,
        stages: Vec::new(),
        error: None,
        chunk_count: 0,
        metadata: form.metadata,
        created_at: now,
        updated_at: now,
        created_by: principal.user.clone(),
    };
    let (document, duplicate) = match state.documents.create(&principal.tenant, &document).await? {
        Created::New => {
            // Whoever deletes a collection sees all documents entered before, and this sees if it was deleted before.
            if !state.collections.exists(&principal.tenant, &document.collection).await? {
                state.documents.delete(&principal.tenant, &document).await?;
                return Err(no_such_collection());
            }
            (document, false)
        }
        Created::Duplicate(id) => {
            let existing = state.documents.find(&principal.tenant, id).await?;
            (existing.ok_or_else(|| Error::unavailable("the same bytes were deleted meanwhile"))?, true)
        }
    };
    let changed = Extension(Changed(Scope::Document(document.id)));
    let status = if duplicate { StatusCode::OK } else { StatusCode::ACCEPTED };
    if duplicate && !deserves_another_try(&document) {
        return Ok((status, changed, Json(Answer { document, duplicate })));
    }
    let key = BlobKey { tenant: principal.tenant.clone(), document: document.id, version: document.version };
    state.blobs.put(&key, form.bytes).await?;
    let document = state.documents.queued(&principal.tenant, document.id, OffsetDateTime::now_utc()).await?;
    Ok((status, changed, Json(Answer { document, duplicate })))
}

fn no_such_collection() -> Error {
    Error::field("collection", "there is no such collection")
}

/// Whether the same bytes again may end better: they never arrived, or it was not their fault.
fn deserves_another_try(document: &Document) -> bool {
    let failed_for_us = |code| matches!(code, ErrorCode::EmbeddingFailed | ErrorCode::Internal);
    document.status == Status::AwaitingUpload || document.error.as_ref().is_some_and(|error| failed_for_us(error.code))
}
