use axum::Extension;
use axum::extract::State as Extract;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderName, StatusCode};
use serde::{Deserialize, Serialize};
use shared::chunks::{Chunk, Chunks};
use shared::clients::BlobKey;
use shared::documents::{self, Document, DocumentFilter, Metadata, MetadataShape, Status, filename, metadata};
use shared::door::TenantRecord;
use shared::error::Error;
use shared::http::{Json, PathId, Query};
use shared::page::{Limit, Page, PageQuery};
use shared::retrieval::Span;
use shared::tenancy::{CollectionId, DocumentId, Permission, Principal};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use crate::State;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only those of this collection.
    #[param(inline)]
    collection: Option<CollectionId>,
    /// Only those that are so far.
    #[param(inline)]
    status: Option<Status>,
    #[serde(default)]
    #[param(inline)]
    limit: Limit,
    /// Where the page begins: `next_cursor` of the page before.
    #[param(pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

#[utoipa::path(
    get, path = "/documents", tag = "documents", operation_id = "listDocuments",
    summary = "The documents, newest first",
    params(ListQuery),
    responses((status = 200, description = "A page of them.", body = Page<Document>), (status = 304)),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn list(
    Extract(state): Extract<State>,
    Extension(tenant): Extension<TenantRecord>,
    principal: Principal,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Document>>, Error> {
    // A collection that the caller may not read has no documents for the caller, like one that is not there.
    if query.collection.as_ref().is_some_and(|id| !principal.reads(id)) {
        return Ok(Json(Page { data: Vec::new(), next_cursor: None }));
    }
    // Documents are left for a while of a collection that was deleted, whoever could read it.
    let all = query.collection.is_some() || (!tenant.had_others && principal.reads_all(&tenant.collections));
    let within = (!all).then(|| principal.collections.keys().cloned().collect());
    let filter = DocumentFilter { collection: query.collection, status: query.status, within };
    let list = filter.list(&principal.tenant);
    Ok(Json(state.pages.read(&list, query.limit, query.cursor.as_deref()).await?))
}

#[utoipa::path(
    get, path = "/documents/{id}", tag = "documents", operation_id = "getDocument",
    summary = "A document",
    params(("id" = DocumentId, Path)),
    responses((status = 200, description = "The document.", body = Document), (status = 304)),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn read(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<DocumentId>,
) -> Result<Json<Document>, Error> {
    Ok(Json(visible(&state, &principal, id).await?))
}

/// A passage of a document.
#[derive(Serialize, ToSchema)]
#[schema(as = Chunk)]
pub(crate) struct ChunkView {
    /// Names the passage.
    id: String,
    /// Its place in the document, from 0.
    index: u32,
    /// What it says.
    text: String,
    /// The page it begins on, from 1, where there are pages.
    #[schema(required)]
    page: Option<u32>,
    /// The headings above it.
    #[schema(required)]
    heading: Option<String>,
    span: Span,
}

#[utoipa::path(
    get, path = "/documents/{id}/chunks", tag = "documents", operation_id = "listChunks",
    summary = "The passages of a document in order",
    params(("id" = DocumentId, Path), PageQuery),
    responses((status = 200, description = "A page of them.", body = Page<ChunkView>), (status = 304)),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn chunks(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<DocumentId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<ChunkView>>, Error> {
    let document = visible(&state, &principal, id).await?;
    let Some(version) = document.served_version else {
        return Ok(Json(Page { data: Vec::new(), next_cursor: None }));
    };
    let list = Chunks::list(&principal.tenant, id, version);
    let page = state.pages.read(&list, query.limit, query.cursor.as_deref()).await?;
    let data = page.data.into_iter().map(|chunk| view(id, chunk)).collect();
    Ok(Json(Page { data, next_cursor: page.next_cursor }))
}

fn view(document: DocumentId, chunk: Chunk) -> ChunkView {
    ChunkView {
        id: chunk.id(document),
        index: chunk.chunk_index,
        text: chunk.text,
        page: chunk.page,
        heading: chunk.heading,
        span: Span { start: chunk.span_start, end: chunk.span_end },
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TextQuery {
    /// The first character, from 0.
    #[serde(default)]
    #[param(minimum = 0, maximum = 4_294_967_295_u64)]
    start: u32,
    /// One behind the last; at most 100,000 characters are given at once.
    #[param(minimum = 0, maximum = 4_294_967_295_u64)]
    end: Option<u32>,
}

/// A part of the text of a document.
#[derive(Serialize, ToSchema)]
#[schema(as = DocumentText)]
pub(crate) struct TextView {
    document_id: DocumentId,
    /// The version that it is the text of.
    version: u32,
    /// Where it stands in the text.
    span: Span,
    text: String,
    /// Where the text goes on; none at its end.
    #[schema(required)]
    next_start: Option<u32>,
}

#[utoipa::path(
    get, path = "/documents/{id}/text", tag = "documents", operation_id = "getText",
    summary = "A part of the text that was extracted",
    description = "What the spans of passages count in, in characters (Unicode scalar values).",
    params(("id" = DocumentId, Path), TextQuery),
    responses((status = 200, description = "The part.", body = TextView), (status = 304), (status = 409)),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn text(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<DocumentId>,
    Query(query): Query<TextQuery>,
) -> Result<Json<TextView>, Error> {
    const NONE: Error = Error::Conflict("No version of the document is ready.");
    let document = visible(&state, &principal, id).await?;
    let version = document.served_version.ok_or(NONE)?;
    let key = BlobKey { tenant: principal.tenant, document: id, version };
    let end = query.end.unwrap_or(u32::MAX);
    if end < query.start {
        return Err(Error::field("end", "must not be before start"));
    }
    let part = state.texts.part(&key, query.start, end).await?.ok_or(NONE)?;
    let next_start = part.has_more.then_some(part.end);
    let span = Span { start: part.start, end: part.end };
    Ok(Json(TextView { document_id: id, version, span, text: part.text, next_start }))
}

/// Sends the caller to the original. The address is good for whoever has it, so it is short-lived, and nobody keeps it.
#[utoipa::path(
    get, path = "/documents/{id}/content", tag = "documents", operation_id = "getContent",
    summary = "The original of a document",
    description = "The address is good for some minutes, for whoever has it.",
    params(("id" = DocumentId, Path)),
    responses(
        (status = 302, description = "Where it can be fetched.", headers(("Location" = String), ("Cache-Control" = String))),
        (status = 409),
    ),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn content(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<DocumentId>,
) -> Result<(StatusCode, [(HeaderName, String); 2]), Error> {
    let document = visible(&state, &principal, id).await?;
    // The newest bytes that arrived. There is a document, so before any arrive it is its state that is in the way.
    let version = match document.status {
        Status::AwaitingUpload => document.served_version,
        _ => Some(document.version),
    };
    let version = version.ok_or(Error::Conflict("The bytes of the document have not arrived."))?;
    let key = BlobKey { tenant: principal.tenant, document: id, version };
    let url =
        state.content_urls.url(&key, &document.filename, &document.content_type, OffsetDateTime::now_utc()).await?;
    Ok((StatusCode::FOUND, [(LOCATION, url.into()), (CACHE_CONTROL, "no-store".to_owned())]))
}

/// What is to be different of a document.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DocumentChange, example = json!({ "filename": "ducks.md", "metadata": { "year": 2026 } }))]
pub(crate) struct Change {
    /// Without slashes and control characters.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^[^\x00-\x1f\x7f-\x9f/\\]*[^\s\x00-\x1f\x7f-\x9f/\\][^\x00-\x1f\x7f-\x9f/\\]*$"
    )]
    filename: Option<String>,
    #[schema(value_type = Option<MetadataShape>)]
    metadata: Option<Metadata>,
    /// Where it goes, with its vectors.
    collection: Option<CollectionId>,
}

#[utoipa::path(
    patch, path = "/documents/{id}", tag = "documents", operation_id = "changeDocument",
    summary = "Change the name, the metadata or the collection of a document",
    params(("id" = DocumentId, Path)),
    request_body = Change,
    responses((status = 200, description = "The document.", body = Document), (status = 409)),
    extensions(("x-lowest-role" = json!("editor"))),
)]
pub(crate) async fn change(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<DocumentId>,
    Json(change): Json<Change>,
) -> Result<Json<Document>, Error> {
    let document = visible(&state, &principal, id).await?;
    principal.require_in(Permission::Write, &document.collection)?;
    if let Some(name) = &change.filename {
        filename::check(name).map_err(|detail| Error::field("/filename", detail))?;
    }
    if let Some(entries) = &change.metadata {
        metadata::check(entries).map_err(|detail| Error::field("/metadata", detail))?;
    }
    if let Some(target) = &change.collection {
        if !principal.reads(target) {
            return Err(Error::field("/collection", "there is no such collection"));
        }
        principal.require_in(Permission::Write, target)?;
    }
    let Change { filename, metadata, collection } = change;
    let change = documents::Change { filename, metadata, collection };
    let now = OffsetDateTime::now_utc();
    Ok(Json(state.documents.change(&principal.tenant, &document.collection, id, &change, now).await?))
}

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
    let (chunks, objects) = futures::try_join!(state.chunks.count(tenant, id), state.blobs.count(tenant, id))?;
    let status = if chunks + objects == 0 { PurgeStatus::Purged } else { PurgeStatus::Purging };
    Ok(Json(Purge { id, status, deleted_at: removal.deleted_at, chunks, objects }))
}

/// The document, if the caller may read its collection.
async fn visible(state: &State, principal: &Principal, id: DocumentId) -> Result<Document, Error> {
    let document = state.documents.get(&principal.tenant, id).await?;
    if principal.reads(&document.collection) { Ok(document) } else { Err(Error::NotFound) }
}
