//! What OpenAI's API has, for its clients: `/openai/v1` is their base address.

mod completions;
mod links;
mod models;
mod request;

use axum::body::Body;
use axum::response::Response;
use serde::Serialize;
use shared::http::{Problem, ProblemFormat};
use utoipa::ToSchema;

use crate::dialect::openai::ErrorBody;

pub(crate) use completions::{__path_complete, complete};
pub(crate) use models::{__path_list, list};

/// A problem as OpenAI's clients read it.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenaiError)]
pub(crate) struct Refusal {
    error: ErrorBody,
}

impl Refusal {
    fn of(problem: &Problem) -> Self {
        Self { error: ErrorBody::of(problem) }
    }
}

/// Has the problems of a route written in OpenAI's words, those of the door among them.
pub(crate) async fn in_its_words(mut response: Response<Body>) -> Response<Body> {
    let write = |problem: &Problem| serde_json::to_vec(&Refusal::of(problem)).unwrap_or_default();
    response.extensions_mut().insert(ProblemFormat(write));
    response
}
