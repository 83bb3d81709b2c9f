//! Answers with citations, streamed, and the conversations they belong to.

mod conversations;
mod event;
mod extractive;
mod history;
mod request;
mod run;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::{get, post};
use shared::auth::TokenVerifier;
use shared::collections::Collections;
use shared::retrieval::Retriever;

pub use conversations::Conversations;

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct State {
    /// Verifies the bearer token of each request.
    pub verifier: TokenVerifier,
    /// The collections a question may be put to.
    pub collections: Collections,
    /// Finds the passages that answers are made of.
    pub retriever: Retriever,
    /// Keeps what was said.
    pub conversations: Conversations,
}

/// `/chat` and `/conversations`.
pub fn router(state: State) -> Router {
    Router::new()
        .route("/chat", post(request::chat))
        .route("/conversations", get(history::list))
        .route("/conversations/{id}", get(history::read).delete(history::delete))
        .with_state(state)
}
