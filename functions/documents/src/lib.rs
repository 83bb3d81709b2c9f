//! List, read, change and delete documents and collections.

mod collections;
mod content;
mod documents;
mod removal;

use std::time::Duration;

use axum::Router;
use axum::routing::{delete, get, patch, put};
use shared::chunks::Chunks;
use shared::clients::{Blobs, ContentUrls};
use shared::collections::Collections;
use shared::documents::Documents;
use shared::door::{Door, Scope};
use shared::page::Pages;
use shared::texts::Texts;

/// How long an answer may be served again if nothing changes.
const KEEP: Duration = Duration::from_mins(1);

/// What the routes need.
#[derive(Clone)]
pub struct State {
    /// What each request passes first.
    pub door: Door,
    /// The documents.
    pub documents: Documents,
    /// The collections they are in.
    pub collections: Collections,
    /// Their passages.
    pub chunks: Chunks,
    /// Reads lists of them.
    pub pages: Pages,
    /// Where the originals can be fetched.
    pub content_urls: ContentUrls,
    /// Where they are kept.
    pub blobs: Blobs,
    /// What was read in them.
    pub texts: Texts,
}

/// `/documents` and `/collections`.
pub fn router(state: State) -> Router {
    let door = &state.door;
    let lists = |scope| door.reads(scope).cached(KEEP);
    let reads_one = || door.reads(Scope::Documents).one().cached(KEEP);
    let changes_one = || door.writes(&[Scope::Documents, Scope::Search, Scope::Collections]).one();
    let changes_collection = || door.writes(Scope::OF_COLLECTION);
    Router::new()
        .route("/documents", get(documents::list).route_layer(lists(Scope::Documents)))
        .route("/documents/{id}", get(documents::read).route_layer(reads_one()))
        .route("/documents/{id}", patch(documents::change).route_layer(changes_one()))
        .route("/documents/{id}", delete(removal::delete).route_layer(changes_one()))
        .route("/documents/{id}/chunks", get(documents::chunks).route_layer(reads_one()))
        .route("/documents/{id}/text", get(content::text).route_layer(reads_one()))
        // What is left is looked at anew each time.
        .route("/documents/{id}/purge", get(removal::purge).route_layer(door.counts()))
        // Each address is good for a while of its own, so none is cached.
        .route("/documents/{id}/content", get(content::content).route_layer(door.counts()))
        .route("/collections", get(collections::list).route_layer(lists(Scope::Collections)))
        .route("/collections/{id}", put(collections::put).route_layer(changes_collection()))
        .route("/collections/{id}", delete(collections::delete).route_layer(changes_collection()))
        .with_state(state)
}

/// What the routes are described as.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    documents::list,
    documents::read,
    documents::chunks,
    content::content,
    documents::change,
    removal::delete,
    content::text,
    removal::purge,
    collections::list,
    collections::put,
    collections::delete,
))]
struct Described;

/// The description of the routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    <Described as utoipa::OpenApi>::openapi()
}
