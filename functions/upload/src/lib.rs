//! Accepts a file, or says where to put it, and leaves the rest to the worker.

mod announcement;
mod entry;
mod form;
mod upload;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use shared::clients::{Blobs, Queue, UploadUrls};
use shared::collections::Collections;
use shared::documents::Documents;
use shared::door::{Door, Idempotency, Scope};
use shared::usage::Usage;

/// The largest body, in bytes: with the base 64 of API Gateway it just fits the 6 MB that Lambda takes.
const MAX_BODY: usize = 4_500_000;
/// The largest file, in bytes, which is put into the storage by its owner.
const MAX_FILE: u64 = 100 * 1024 * 1024;

/// What the route needs.
#[derive(Clone)]
pub struct State {
    /// What each request passes first.
    pub door: Door,
    /// Answers an upload that is repeated.
    pub idempotency: Idempotency,
    /// Where the document is entered.
    pub documents: Documents,
    /// The collections it may go to.
    pub collections: Collections,
    /// Where its bytes go. That they arrived is the storage's to announce.
    pub blobs: Blobs,
    /// Where its owner may put them.
    pub upload_urls: UploadUrls,
    /// The queue of the worker that looks whether they came, and gives up what does not.
    pub queue: Queue,
    /// What the tenant stores already.
    pub usage: Usage,
}

/// `POST /documents/upload`.
pub fn router(state: State) -> Router {
    let limit = DefaultBodyLimit::max(MAX_BODY);
    let door = state.door.spends(1).writes(&[Scope::Documents, Scope::Collections]);
    let door = door.idempotent(&state.idempotency, MAX_BODY);
    Router::new().route("/documents/upload", post(upload::upload).layer(limit).route_layer(door)).with_state(state)
}

/// What the routes are described as.
#[derive(utoipa::OpenApi)]
#[openapi(paths(upload::upload,))]
struct Described;

/// The description of the routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    <Described as utoipa::OpenApi>::openapi()
}
