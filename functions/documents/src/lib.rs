//! List, read, change and delete documents; list and make collections.

mod collections;
mod documents;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::{get, put};
use shared::auth::TokenVerifier;
use shared::chunks::Chunks;
use shared::clients::Blobs;
use shared::collections::Collections;
use shared::documents::Documents;

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct State {
    /// Verifies the bearer token of each request.
    pub verifier: TokenVerifier,
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
    Router::new()
        .route("/documents", get(documents::list))
        .route("/documents/{id}", get(documents::read).patch(documents::change).delete(documents::delete))
        .route("/documents/{id}/chunks", get(documents::chunks))
        .route("/collections", get(collections::list))
        .route("/collections/{id}", put(collections::put))
        .with_state(state)
}
