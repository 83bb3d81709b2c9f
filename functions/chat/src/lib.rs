//! Answers with citations, streamed, and the conversations they belong to.

mod agent;
mod conversations;
mod dialect;
mod event;
mod llm;
mod routes;
mod run;
mod tools;

use std::sync::Arc;

use axum::routing::{delete, get, patch, post};
use axum::{Router, middleware};
use shared::clients::ContentUrls;
use shared::config::LlmConfig;
use shared::documents::Documents;
use shared::door::Door;
use shared::page::Pages;
use shared::retrieval::Retriever;
use shared::texts::Texts;

pub use conversations::Conversations;
pub use llm::Models;
use routes::{ai_sdk, conversations as history, native, openai};

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
    /// Who answers.
    pub models: Models,
    /// Which models there are, and how far an answer may go.
    pub config: Arc<LlmConfig>,
}

/// `/chat`, `/conversations` and `/openai`.
pub fn router(state: State) -> Router {
    let counts = || state.door.counts();
    let in_openais_words = middleware::map_response(openai::in_its_words);
    Router::new()
        .route("/chat", post(native::chat).route_layer(state.door.spends(1)))
        .route("/chat/ai-sdk", post(ai_sdk::chat).route_layer(state.door.spends(1)))
        .route("/conversations", get(history::list).route_layer(counts()))
        .route("/conversations/{id}", get(history::read).route_layer(counts()))
        .route("/conversations/{id}", patch(history::change).route_layer(counts()))
        .route("/conversations/{id}", delete(history::delete).route_layer(counts()))
        .route("/conversations/{id}/regenerate", post(native::regenerate).route_layer(state.door.spends(1)))
        .route("/conversations/{id}/edit", post(native::edit).route_layer(state.door.spends(1)))
        .route("/openai/v1/models", get(openai::list).route_layer(counts()).route_layer(in_openais_words.clone()))
        .route(
            "/openai/v1/chat/completions",
            post(openai::complete).route_layer(state.door.spends(1)).route_layer(in_openais_words),
        )
        .with_state(state)
}

/// What the routes are described as.
#[derive(utoipa::OpenApi)]
#[openapi(
    paths(
        ai_sdk::chat,
        native::chat,
        native::regenerate,
        native::edit,
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
