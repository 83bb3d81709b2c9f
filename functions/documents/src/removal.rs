//! How a document goes, and what is left of it.

use axum::extract::State as Extract;
use http::StatusCode;
use serde::Serialize;
use shared::error::Error;
use shared::http::{Json, PathId};
use shared::tenancy::{DocumentId, Permission, Principal};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::State;
use crate::documents::visible;

/// A document that is as good as gone.
#[derive(Serialize, ToSchema)]
#[schema(as = DeletingDocument)]
pub(crate) struct Deleting {
    id: DocumentId,
    status: &'static str,
}

#[utoipa::path(
    delete, path = "/documents/{id}", tag = "documents", operation_id = "deleteDocument",
    summary = "Delete a document",
    params(("id" = DocumentId, Path)),
    responses((status = 202, description = "From here on nothing uses it.", body = Deleting)),
    extensions(("x-lowest-role" = json!("editor"))),
)]
pub(crate) async fn delete(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<DocumentId>,
) -> Result<(StatusCode, Json<Deleting>), Error> {
    let document = visible(&state, &principal, id).await?;
    principal.require_in(Permission::Write, &document.collection)?;
    // From here on nothing uses the document. `changes` removes what is left of it.
    let now = OffsetDateTime::now_utc();
    if !state.documents.delete(&principal.tenant, &document.collection, id, now).await? {
        return Err(Error::NotFound);
    }
    Ok((StatusCode::ACCEPTED, Json(Deleting { id, status: "deleting" })))
}

/// What is left of a document that was deleted.
#[derive(Serialize, ToSchema)]
pub(crate) struct Purge {
    id: DocumentId,
    status: PurgeStatus,
    #[serde(with = "time::serde::rfc3339")]
    deleted_at: OffsetDateTime,
    /// Passages that are still stored.
    chunks: usize,
    /// Entries by which uncommon words of them are found that are still stored.
    terms: usize,
    /// Objects that are still stored: the original of each version, and its text.
    objects: usize,
}

/// How far a [`Purge`] is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PurgeStatus {
    /// Something is left, which nothing uses.
    Purging,
    /// Nothing is left.
    Purged,
}

/// Looks at what is stored, so that the answer is not what should be.
#[utoipa::path(
    get, path = "/documents/{id}/purge", tag = "documents", operation_id = "getPurge",
    summary = "What is left of a document that was deleted",
    description = "It is known for 90 days that a document was deleted.",
    params(("id" = DocumentId, Path)),
    responses((status = 200, description = "What is left.", body = Purge)),
    extensions(("x-lowest-role" = json!("admin"))),
)]
pub(crate) async fn purge(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<DocumentId>,
) -> Result<Json<Purge>, Error> {
    principal.require(Permission::Manage)?;
    let tenant = &principal.tenant;
    let removal = state.documents.removal(tenant, id).await?.ok_or(Error::NotFound)?;
    let (count, objects) = futures::try_join!(state.chunks.count(tenant, id), state.blobs.count(tenant, id))?;
    let (chunks, terms) = (count.passages, count.postings);
    let status = if chunks + terms + objects == 0 { PurgeStatus::Purged } else { PurgeStatus::Purging };
    Ok(Json(Purge { id, status, deleted_at: removal.deleted_at, chunks, terms, objects }))
}
