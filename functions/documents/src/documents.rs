use axum::Extension;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use shared::chunks::{Chunk, Chunks};
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
        metadata::check(entries, "/metadata").map_err(Error::Invalid)?;
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

/// The document, if the caller may read its collection.
pub(crate) async fn visible(state: &State, principal: &Principal, id: DocumentId) -> Result<Document, Error> {
    let document = state.documents.get(&principal.tenant, id).await?;
    if principal.reads(&document.collection) { Ok(document) } else { Err(Error::NotFound) }
}
