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

use crate::State;

#[derive(Serialize)]
pub(crate) struct CollectionView {
    #[serde(flatten)]
    collection: Collection,
    document_count: u64,
}

pub(crate) async fn list(
    Extract(state): Extract<State>,
    principal: Principal,
) -> Result<Json<Page<CollectionView>>, Error> {
    let collections = state.collections.list(&principal.tenant).await?;
    let readable = collections.into_iter().filter(|collection| principal.reads(&collection.id));
    let views = readable.map(|collection| view(&state, &principal, collection));
    Ok(Json(Page { data: try_join_all(views).await?, next_cursor: None }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutCollection {
    name: Option<String>,
    access: Option<Access>,
}

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

#[derive(Serialize)]
pub(crate) struct Deleting {
    id: CollectionId,
    status: &'static str,
}

async fn view(state: &State, principal: &Principal, collection: Collection) -> Result<CollectionView, Error> {
    let document_count = state.collections.count_documents(&principal.tenant, &collection.id).await?;
    Ok(CollectionView { collection, document_count })
}
