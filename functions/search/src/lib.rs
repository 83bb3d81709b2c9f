//! Search over the passages of the caller's collections.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State as Extract;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use shared::door::{Door, Scope};
use shared::error::{Error, FieldError};
use shared::http::Json;
use shared::retrieval::{Mode, Passage, Retriever, SearchQuery};
use shared::tenancy::{CollectionId, DocumentId, Principal};

/// How long an answer may be served again if nothing changes.
const KEEP: Duration = Duration::from_mins(1);
/// The longest query, in characters.
const MAX_QUERY: usize = 2_000;
/// The most passages of an answer: all candidates of one vector search.
const MAX_LIMIT: usize = 100;
/// The most documents a search may be narrowed to: each is a vector search of its own.
const MAX_DOCUMENTS: usize = 20;

/// What the route needs.
#[derive(Clone)]
pub struct State {
    /// What each request passes first.
    pub door: Door,
    /// Finds the passages.
    pub retriever: Retriever,
}

/// `POST /search`.
pub fn router(state: State) -> Router {
    let door = state.door.reads(Scope::Search).cached(KEEP);
    Router::new().route("/search", post(search).route_layer(door)).with_state(state)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    query: String,
    #[serde(default)]
    collections: Vec<CollectionId>,
    #[serde(default)]
    document_ids: Vec<DocumentId>,
    #[serde(default = "default_limit")]
    limit: usize,
    #[serde(default)]
    mode: Mode,
}

fn default_limit() -> usize {
    10
}

#[derive(Serialize)]
struct Answer {
    data: Vec<Passage>,
    took_ms: u128,
}

async fn search(
    Extract(state): Extract<State>,
    principal: Principal,
    Json(request): Json<Request>,
) -> Result<Json<Answer>, Error> {
    let started = Instant::now();
    let query = checked(request)?;
    let data = state.retriever.search(&principal, &query).await?;
    Ok(Json(Answer { data, took_ms: started.elapsed().as_millis() }))
}

fn checked(request: Request) -> Result<SearchQuery, Error> {
    let mut errors = Vec::new();
    let length = request.query.chars().count();
    if request.query.trim().is_empty() || length > MAX_QUERY {
        errors.push(FieldError::new("/query", format!("must have 1 to {MAX_QUERY} characters")));
    }
    if !(1..=MAX_LIMIT).contains(&request.limit) {
        errors.push(FieldError::new("/limit", format!("must be a whole number from 1 to {MAX_LIMIT}")));
    }
    if request.document_ids.len() > MAX_DOCUMENTS {
        errors.push(FieldError::new("/document_ids", format!("must name at most {MAX_DOCUMENTS} documents")));
    }
    if errors.is_empty() {
        Ok(SearchQuery {
            query: request.query,
            collections: request.collections,
            document_ids: request.document_ids,
            limit: request.limit,
            mode: request.mode,
        })
    } else {
        Err(Error::Invalid(errors))
    }
}
