//! Accepts a file and leaves the rest to the worker.

mod form;
mod upload;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::routing::post;
use shared::auth::TokenVerifier;
use shared::clients::Blobs;
use shared::collections::Collections;
use shared::documents::Documents;

/// The largest body, in bytes: with the base 64 of API Gateway it just fits the 6 MB that Lambda takes.
const MAX_BODY: usize = 4_500_000;

/// What the route needs.
#[derive(Clone, FromRef)]
pub struct State {
    /// Verifies the bearer token of each request.
    pub verifier: TokenVerifier,
    /// Where the document is entered.
    pub documents: Documents,
    /// The collections it may go to.
    pub collections: Collections,
    /// Where its bytes go. That they arrived is the storage's to announce.
    pub blobs: Blobs,
}

/// `POST /documents/upload`.
pub fn router(state: State) -> Router {
    let limit = DefaultBodyLimit::max(MAX_BODY);
    Router::new().route("/documents/upload", post(upload::upload).layer(limit)).with_state(state)
}
