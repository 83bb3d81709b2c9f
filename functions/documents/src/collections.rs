use axum::extract::State as Extract;
use futures::future::try_join_all;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::audit::{Action, Entry};
use shared::collections::{Collection, MAX_COLLECTIONS};
use shared::error::Error;
use shared::http::{Json, PathId};
use shared::page::Page;
use shared::tenancy::{Access, CollectionId, Permission, Principal};
use utoipa::ToSchema;

use crate::State;

/// A collection and what is in it.
#[derive(Serialize, ToSchema)]
pub(crate) struct CollectionView {
    #[serde(flatten)]
    collection: Collection,
    document_count: u64,
}

#[utoipa::path(
    get, path = "/collections", tag = "collections", operation_id = "listCollections",
    summary = "The collections that the caller may read",
    responses((status = 200, description = "All of them, in one page.", body = Page<CollectionView>), (status = 304)),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn list(
    Extract(state): Extract<State>,
    principal: Principal,
) -> Result<Json<Page<CollectionView>>, Error> {
    let collections = state.collections.list(&principal.tenant).await?;
    let readable = collections.into_iter().filter(|collection| principal.reads(&collection.id));
    let views = readable.map(|collection| view(&state, &principal, collection));
    Ok(Json(Page { data: try_join_all(views).await?, next_cursor: None }))
}

/// What a collection is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "The board", "access": "members" }))]
pub(crate) struct PutCollection {
    /// The id if it is left out.
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    name: Option<String>,
    /// As it is if it is left out; `tenant` for a new one.
    access: Option<Access>,
}

#[utoipa::path(
    put, path = "/collections/{id}", tag = "collections", operation_id = "putCollection",
    summary = "Make a collection, or describe it anew",
    params(("id" = CollectionId, Path)),
    request_body = PutCollection,
    responses((status = 200, description = "The collection.", body = CollectionView), (status = 409)),
    extensions(("x-lowest-role" = json!("admin"))),
)]
pub(crate) async fn put(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<String>,
    Json(body): Json<PutCollection>,
) -> Result<Json<CollectionView>, Error> {
    principal.require(Permission::Manage)?;
    let id: CollectionId = id.parse().map_err(|rule| Error::field("id", format!("{rule}")))?;
    let name = body.name.unwrap_or_else(|| id.to_string());
    if name.trim().is_empty() || name.chars().count() > 200 {
        return Err(Error::field("/name", "must have 1 to 200 characters"));
    }
    let existing = state.collections.list(&principal.tenant).await?;
    if existing.len() >= MAX_COLLECTIONS && existing.iter().all(|collection| collection.id != id) {
        return Err(Error::Conflict("The tenant has as many collections as it may."));
    }
    let before = existing.into_iter().find(|collection| collection.id == id).map(|collection| collection.access);
    let access = body.access.or(before).unwrap_or(Access::Tenant);
    let collection = Collection { id, name, access };
    let entry = Entry::new(&principal, Action::PutCollection, &collection.id, json!(collection));
    state.collections.put(&principal.tenant, &collection, &entry).await?;
    Ok(Json(view(&state, &principal, collection).await?))
}

/// Deletes a collection with all its documents.
#[utoipa::path(
    delete, path = "/collections/{id}", tag = "collections", operation_id = "deleteCollection",
    summary = "Delete a collection with all its documents",
    params(("id" = CollectionId, Path)),
    responses(
        (status = 202, description = "From here on nothing uses it.", body = Deleting),
        (status = 409),
    ),
    extensions(("x-lowest-role" = json!("admin"))),
)]
pub(crate) async fn delete(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<CollectionId>,
) -> Result<(StatusCode, Json<Deleting>), Error> {
    principal.require(Permission::Manage)?;
    if id == CollectionId::default_collection() {
        return Err(Error::Conflict("The default collection is always there; delete its documents instead."));
    }
    let entry = Entry::new(&principal, Action::DeleteCollection, &id, json!({}));
    state.collections.delete(&principal.tenant, &id, &entry).await?;
    Ok((StatusCode::ACCEPTED, Json(Deleting { id, status: "deleting" })))
}

/// A collection that is as good as gone.
#[derive(Serialize, ToSchema)]
#[schema(as = DeletingCollection)]
pub(crate) struct Deleting {
    id: CollectionId,
    status: &'static str,
}

async fn view(state: &State, principal: &Principal, collection: Collection) -> Result<CollectionView, Error> {
    let document_count = state.collections.count_documents(&principal.tenant, &collection.id).await?;
    Ok(CollectionView { collection, document_count })
}
