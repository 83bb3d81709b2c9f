use axum::extract::State as Extract;
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use shared::collections::{Access, Collection, MAX_COLLECTIONS};
use shared::error::Error;
use shared::http::{Json, PathId};
use shared::page::Page;
use shared::tenancy::{CollectionId, Principal, Role};

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
    let views = collections.into_iter().map(|collection| view(&state, &principal, collection));
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
    principal.require(Role::Admin)?;
    let id: CollectionId = id.parse().map_err(|rule| Error::field("id", format!("{rule}")))?;
    let name = body.name.unwrap_or_else(|| id.to_string());
    if name.trim().is_empty() || name.chars().count() > 200 {
        return Err(Error::field("/name", "must have 1 to 200 characters"));
    }
    let existing = state.collections.list(&principal.tenant).await?;
    if existing.len() >= MAX_COLLECTIONS && existing.iter().all(|collection| collection.id != id) {
        return Err(Error::Conflict("The tenant has as many collections as it may."));
    }
    let collection = Collection { id, name, access: body.access.unwrap_or(Access::Tenant) };
    state.collections.put(&principal.tenant, &collection).await?;
    Ok(Json(view(&state, &principal, collection).await?))
}

async fn view(state: &State, principal: &Principal, collection: Collection) -> Result<CollectionView, Error> {
    let document_count = state.collections.count_documents(&principal.tenant, &collection.id).await?;
    Ok(CollectionView { collection, document_count })
}
