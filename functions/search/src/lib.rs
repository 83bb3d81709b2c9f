//! Search over the passages of the caller's collections.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State as Extract;
use axum::response::AppendHeaders;
use axum::routing::post;
use http::HeaderName;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::door::{Door, Scope};
use shared::error::{Error, FieldError};
use shared::http::Json;
use shared::retrieval::{Filter, Filtered, FoundPassage, Mode, Retriever, SearchQuery};
use shared::telemetry;
use shared::tenancy::{CollectionId, DocumentId, Principal};
use tracing::Instrument;
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
    /// Only in documents whose metadata passes.
    #[schema(value_type = Option<Filter>)]
    filters: Option<Value>,
    /// The most passages of one document: 3, or as many as `limit` if `document_ids` are given.
    #[schema(minimum = 1, maximum = 100)]
    max_per_document: Option<usize>,
    /// Only passages with this score or a higher one.
    #[schema(minimum = 0, maximum = 1)]
    min_score: Option<f32>,
    /// Whether passages of the answer that follow each other in a document become one.
    #[serde(default)]
    merge_adjacent: bool,
    /// Whether each passage says how it was found.
    #[serde(default)]
    explain: bool,
}

fn default_limit() -> usize {
    10
}

/// What was found.
#[derive(Serialize, ToSchema)]
#[schema(as = Found)]
struct Answer {
    /// Best first.
    data: Vec<FoundPassage>,
    /// What the filters let through; none if there were none.
    #[schema(required)]
    filtered: Option<Filtered>,
    #[schema(value_type = u64)]
    took_ms: u128,
    /// What each stage of the search took, if it is explained, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    stages_ms: Option<BTreeMap<&'static str, f64>>,
}

type Response = (AppendHeaders<Option<(HeaderName, &'static str)>>, Json<Answer>);

#[utoipa::path(
    post, path = "/search", tag = "search", operation_id = "search",
    summary = "Find passages",
    request_body = Request,
    responses((
        status = 200,
        description = "The best passages.",
        body = Answer,
        headers(("Cache-Status" = String)),
    )),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
async fn search(
    Extract(state): Extract<State>,
    principal: Principal,
    Json(request): Json<Request>,
) -> Result<Response, Error> {
    let started = Instant::now();
    let query = checked(request)?;
    let step = tracing::info_span!(target: telemetry::STEP, "retrieve");
    let found = state.retriever.find(&principal, &query).instrument(step).await?;
    // Where a reranker failed, the next one who asks may have the better order.
    let headers = AppendHeaders(found.rerank_failed.then_some((CACHE_CONTROL, "no-store")));
    let milliseconds = |(name, took): (&'static str, Duration)| (name, took.as_secs_f64() * 1_000.0);
    let answer = Answer {
        data: found.passages,
        filtered: found.filtered,
        took_ms: started.elapsed().as_millis(),
        stages_ms: query.explain.then(|| found.stages.into_iter().map(milliseconds).collect()),
    };
    Ok((headers, Json(answer)))
}

fn checked(request: Request) -> Result<SearchQuery, Error> {
    let mut errors = Vec::new();
    let mut check = |holds: bool, pointer: &str, detail: String| {
        if !holds {
            errors.push(FieldError::new(pointer, detail));
        }
    };
    let length = request.query.chars().count();
    let is_query = !request.query.trim().is_empty() && length <= MAX_QUERY;
    check(is_query, "/query", format!("must have 1 to {MAX_QUERY} characters"));
    let is_number = |number: usize| (1..=MAX_LIMIT).contains(&number);
    let number = || format!("must be a whole number from 1 to {MAX_LIMIT}");
    check(is_number(request.limit), "/limit", number());
    check(request.max_per_document.is_none_or(is_number), "/max_per_document", number());
    let named = request.document_ids.len();
    check(named <= MAX_DOCUMENTS, "/document_ids", format!("must name at most {MAX_DOCUMENTS} documents"));
    let is_score = request.min_score.is_none_or(|score| (0.0..=1.0).contains(&score));
    check(is_score, "/min_score", "must be a number from 0 to 1".to_owned());
    let filter = request.filters.map(|filters| Filter::parse(&filters, "/filters")).transpose();
    let filter = filter.unwrap_or_else(|wrong| {
        errors.extend(wrong);
        None
    });
    if !errors.is_empty() {
        return Err(Error::Invalid(errors));
    }
    Ok(SearchQuery {
        collections: request.collections,
        document_ids: request.document_ids,
        filter,
        limit: request.limit,
        mode: request.mode,
        max_per_document: request.max_per_document,
        min_score: request.min_score,
        merge_adjacent: request.merge_adjacent,
        explain: request.explain,
        ..SearchQuery::new(request.query)
    })
}
