//! Answers with citations, streamed, and the conversations they belong to.

mod agent;
mod conversations;
mod dialect;
mod event;
mod hidden;
mod llm;
mod routes;
mod run;
mod tools;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, patch, post};
use shared::config::LlmConfig;
use shared::documents::Documents;
use shared::door::Door;
use shared::page::Pages;
use shared::retrieval::Retriever;
use shared::texts::Texts;

pub use conversations::Conversations;
pub use llm::Models;
use routes::{conversations as history, native};

/// What the routes need.
#[derive(Clone)]
pub struct State {
    /// What each request passes first.
    pub door: Door,
    /// Finds the passages that answers are made of.
    pub retriever: Retriever,
    /// The documents that they stand in.
    pub documents: Documents,
    /// The texts of those.
    pub texts: Texts,
    /// Lists of them.
    pub pages: Pages,
    /// Keeps what was said.
    pub conversations: Conversations,
    /// Who answers.
    pub models: Models,
    /// Which models there are, and how far an answer may go.
    pub config: Arc<LlmConfig>,
}

/// `/chat` and `/conversations`.
pub fn router(state: State) -> Router {
    let counts = || state.door.counts();
    Router::new()
        .route("/chat", post(native::chat).route_layer(state.door.spends(1)))
        .route("/conversations", get(history::list).route_layer(counts()))
        .route("/conversations/{id}", get(history::read).route_layer(counts()))
        .route("/conversations/{id}", patch(history::change).route_layer(counts()))
        .route("/conversations/{id}", delete(history::delete).route_layer(counts()))
        .route("/conversations/{id}/regenerate", post(native::regenerate).route_layer(state.door.spends(1)))
        .route("/conversations/{id}/edit", post(native::edit).route_layer(state.door.spends(1)))
        .with_state(state)
}

/// What the routes are described as.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    native::chat,
    native::regenerate,
    native::edit,
    history::list,
    history::read,
    history::change,
    history::delete,
))]
struct Described;

/// The description of the routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    <Described as utoipa::OpenApi>::openapi()
}
