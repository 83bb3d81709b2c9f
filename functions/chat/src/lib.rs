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

use axum::routing::{delete, get, patch, post};
use axum::{Router, middleware};
use shared::budgets::Budgets;
use shared::clients::ContentUrls;
use shared::config::LlmConfig;
use shared::documents::Documents;
use shared::door::{Door, Idempotency};
use shared::http::MAX_JSON;
use shared::page::Pages;
use shared::retrieval::Retriever;
use shared::texts::Texts;

pub use conversations::Conversations;
pub use llm::Models;
use routes::{ai_sdk, conversations as history, native, openai, resume};
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
    /// Addresses of their originals, for clients that cannot show a token.
    pub content_urls: ContentUrls,
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

/// `/chat`, `/conversations` and `/openai`.
pub fn router(state: State) -> Router {
    let counts = || state.door.counts();
    // Whatever an answer takes beside the time that it has.
    let repeated = state.idempotency.lasting(state.config.time + Duration::from_secs(30));
    let answers = || state.door.spends(1).recalls().idempotent(&repeated, MAX_JSON);
    let in_openais_words = middleware::map_response(openai::in_its_words);
    Router::new()
        .route("/chat", post(native::chat).route_layer(answers()))
        .route("/chat/{id}/stream", get(resume::follow).route_layer(counts()))
        .route("/chat/{id}/stop", post(resume::stop).route_layer(counts()))
        .route("/chat/ai-sdk", post(ai_sdk::chat).route_layer(state.door.spends(1).recalls()))
        .route("/chat/ai-sdk/{id}/stream", get(ai_sdk::follow).route_layer(counts()))
        .route("/conversations", get(history::list).route_layer(counts()))
        .route("/conversations/{id}", get(history::read).route_layer(counts()))
        .route("/conversations/{id}", patch(history::change).route_layer(counts()))
        .route("/conversations/{id}", delete(history::delete).route_layer(counts()))
        .route("/conversations/{id}/regenerate", post(native::regenerate).route_layer(answers()))
        .route("/conversations/{id}/edit", post(native::edit).route_layer(answers()))
        .route("/openai/v1/models", get(openai::list).route_layer(counts()).route_layer(in_openais_words.clone()))
        .route(
            "/openai/v1/chat/completions",
            post(openai::complete).route_layer(state.door.spends(1).recalls()).route_layer(in_openais_words),
        )
        .with_state(state)
}

/// What the routes are described as.
#[derive(utoipa::OpenApi)]
#[openapi(
    paths(
        ai_sdk::chat,
        ai_sdk::follow,
        native::chat,
        native::regenerate,
        native::edit,
        resume::follow,
        resume::stop,
        history::list,
        history::read,
        history::change,
        history::delete,
        openai::complete,
        openai::list,
    ),
    components(schemas(openai::Refusal))
)]
struct Described;

/// The description of the routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    <Described as utoipa::OpenApi>::openapi()
}
