//! Answers with citations, streamed, and the conversations they belong to.

mod conversations;
mod dialect;
mod event;
mod extractive;
mod history;
mod llm;
mod request;
mod run;
mod tools;

use axum::Router;
use axum::routing::{delete, get, post};
use shared::door::Door;
use shared::retrieval::Retriever;

pub use conversations::Conversations;

/// What the routes need.
#[derive(Clone)]
pub struct State {
    /// What each request passes first.
    pub door: Door,
    /// Finds the passages that answers are made of.
    pub retriever: Retriever,
    /// Keeps what was said.
    pub conversations: Conversations,
}

/// `/chat` and `/conversations`.
pub fn router(state: State) -> Router {
    let counts = || state.door.counts();
    Router::new()
        .route("/chat", post(request::chat).route_layer(state.door.spends(1)))
        .route("/conversations", get(history::list).route_layer(counts()))
        .route("/conversations/{id}", get(history::read).route_layer(counts()))
        .route("/conversations/{id}", delete(history::delete).route_layer(counts()))
        .with_state(state)
}

/// What the routes are described as.
#[derive(utoipa::OpenApi)]
#[openapi(paths(request::chat, history::list, history::read, history::delete,))]
struct Described;

/// The description of the routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    <Described as utoipa::OpenApi>::openapi()
}
