//! List, read, change and delete documents; list and make collections.

mod collections;
mod documents;

use std::time::Duration;

use axum::Router;
use axum::routing::{delete, get, patch, put};
use shared::chunks::Chunks;
use shared::clients::Blobs;
use shared::collections::Collections;
use shared::documents::Documents;
use shared::door::{Door, Scope};

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
    /// Their originals.
    pub blobs: Blobs,
}

/// `/documents` and `/collections`.
pub fn router(state: State) -> Router {
    let read = || state.door.reads(Scope::Documents).cached(KEEP);
    let changes = || state.door.writes(&[Scope::Documents, Scope::Search]);
    let removes = || state.door.writes(&[Scope::Documents, Scope::Search, Scope::Collections]);
    let lists = || state.door.reads(Scope::Collections).cached(KEEP);
    // A profile names the collections.
    let puts = || state.door.writes(&[Scope::Collections, Scope::Search, Scope::Users]);
    Router::new()
        .route("/documents", get(documents::list).route_layer(read()))
        .route("/documents/{id}", get(documents::read).route_layer(read()))
        .route("/documents/{id}", patch(documents::change).route_layer(changes()))
        .route("/documents/{id}", delete(documents::delete).route_layer(removes()))
        .route("/documents/{id}/chunks", get(documents::chunks).route_layer(read()))
        .route("/collections", get(collections::list).route_layer(lists()))
        .route("/collections/{id}", put(collections::put).route_layer(puts()))
        .with_state(state)
}
