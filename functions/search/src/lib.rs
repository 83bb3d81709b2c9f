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
use utoipa::ToSchema;

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

/// What the routes are described as.
#[derive(utoipa::OpenApi)]
#[openapi(paths(search,))]
struct Described;

/// The description of the routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    <Described as utoipa::OpenApi>::openapi()
}

/// What to look for, and where.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Search, example = json!({ "query": "what do ducks eat?", "limit": 5 }))]
struct Request {
    #[schema(min_length = 1, max_length = 2000, pattern = r"\S")]
    query: String,
    /// Only in these; in all that the caller may read if there are none.
    #[serde(default)]
    collections: Vec<CollectionId>,
    /// Only in these, if there are any.
    #[serde(default)]
    #[schema(max_items = 20)]
    document_ids: Vec<DocumentId>,
    /// The most passages.
    #[serde(default = "default_limit")]
    #[schema(minimum = 1, maximum = 100, default = 10)]
    limit: usize,
    #[serde(default)]
    mode: Mode,
}

fn default_limit() -> usize {
    10
}

/// What was found.
#[derive(Serialize, ToSchema)]
#[schema(as = Found)]
struct Answer {
    /// Best first.
    data: Vec<Passage>,
    #[schema(value_type = u64)]
    took_ms: u128,
}

#[utoipa::path(
    post, path = "/search", tag = "search", operation_id = "search",
    summary = "Find passages",
    request_body = Request,
    responses((status = 200, description = "The best passages.", body = Answer, headers(("Cache-Status" = String)))),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
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
            collections: request.collections,
            document_ids: request.document_ids,
            limit: request.limit,
            mode: request.mode,
            ..SearchQuery::new(request.query)
        })
    } else {
        Err(Error::Invalid(errors))
    }
}
