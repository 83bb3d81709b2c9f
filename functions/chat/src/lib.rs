//! Answers with citations, streamed, and the conversations they belong to.

mod agent;
mod conversations;
mod dialect;
mod event;
mod hidden;
mod llm;
mod routes;
mod run;
mod runs;
mod tools;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{delete, get, patch, post};
use shared::budgets::Budgets;
use shared::config::LlmConfig;
use shared::documents::Documents;
use shared::door::{Door, Idempotency};
use shared::http::MAX_JSON;
use shared::page::Pages;
use shared::retrieval::Retriever;
use shared::texts::Texts;

pub use conversations::Conversations;
pub use llm::Models;
use routes::{conversations as history, native, resume};
pub use runs::{Process, Runs};

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
    /// What answers may take, and what they took.
    pub budgets: Budgets,
    /// Answers while they are made.
    pub runs: Runs,
    /// Answers that are given once only.
    pub idempotency: Idempotency,
    /// Who answers.
    pub models: Models,
    /// Which models there are, and how far an answer may go.
    pub config: Arc<LlmConfig>,
}

/// `/chat` and `/conversations`.
pub fn router(state: State) -> Router {
    let counts = || state.door.counts();
    // Whatever an answer takes beside the time that it has.
    let repeated = state.idempotency.lasting(state.config.time + Duration::from_secs(30));
    let answers = || state.door.spends(1).idempotent(&repeated, MAX_JSON);
    Router::new()
        .route("/chat", post(native::chat).route_layer(answers()))
        .route("/chat/{id}/stream", get(resume::follow).route_layer(counts()))
        .route("/chat/{id}/stop", post(resume::stop).route_layer(counts()))
        .route("/conversations", get(history::list).route_layer(counts()))
        .route("/conversations/{id}", get(history::read).route_layer(counts()))
        .route("/conversations/{id}", patch(history::change).route_layer(counts()))
        .route("/conversations/{id}", delete(history::delete).route_layer(counts()))
        .route("/conversations/{id}/regenerate", post(native::regenerate).route_layer(answers()))
        .route("/conversations/{id}/edit", post(native::edit).route_layer(answers()))
        .with_state(state)
}

/// What the routes are described as.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    native::chat,
    native::regenerate,
    native::edit,
    resume::follow,
    resume::stop,
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
