//! Liveness and readiness, and the description of the API.

mod description;

use std::fmt::Display;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State as Extract;
use axum::routing::get;
use http::StatusCode;
use serde::Serialize;
use shared::clients::{Blobs, CacheError, DynamoDb, Redis};
use shared::http::Json;
use utoipa::ToSchema;

/// The longest that a dependency may take to count as well.
const CHECK_LIMIT: Duration = Duration::from_secs(2);

/// What the routes need.
#[derive(Clone)]
pub struct State {
    /// Asked by one read of an item that does not exist.
    pub dynamodb: DynamoDb,
    /// Asked by a ping.
    pub redis: Redis,
    /// Asked for an object that does not exist.
    pub blobs: Blobs,
}

/// `GET /health`, `GET /health/ready` and `GET /openapi.json`.
pub fn router(state: State) -> Router {
    Router::new()
        .route("/health", get(live))
        .route("/health/ready", get(ready))
        .route("/openapi.json", get(description::read))
        .with_state(state)
}

/// What the routes are described as.
#[derive(utoipa::OpenApi)]
#[openapi(paths(live, ready, description::read))]
struct Described;

/// The description of the routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    <Described as utoipa::OpenApi>::openapi()
}

/// That the service answers.
#[derive(Serialize, ToSchema)]
struct Live {
    status: &'static str,
    version: &'static str,
}

/// What the service depends on.
#[derive(Serialize, ToSchema)]
struct Ready {
    /// `ok`, `degraded` (without the cache) or `unavailable`.
    status: &'static str,
    checks: Checks,
}

/// What was looked at.
#[derive(Serialize, ToSchema)]
struct Checks {
    dynamodb: Check,
    redis: Check,
    blobs: Check,
}

/// How one part answers.
#[derive(Serialize, ToSchema)]
struct Check {
    /// `ok` or `failed`.
    status: &'static str,
    #[schema(value_type = u64)]
    latency_ms: u128,
}

#[utoipa::path(
    get, path = "/health", tag = "health", operation_id = "live",
    summary = "Whether the service answers",
    responses((status = 200, description = "It does.", body = Live)),
    extensions(("x-lowest-role" = json!("anyone"))),
)]
async fn live() -> Json<Live> {
    Json(Live { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Ready means that accepted work is safe. The cache is not needed for that, so without it the answer is still 200.
#[utoipa::path(
    get, path = "/health/ready", tag = "health", operation_id = "ready",
    summary = "Whether the service can work",
    responses(
        (status = 200, description = "It can, if perhaps without the cache.", body = Ready),
        (status = 503, description = "It cannot.", body = Ready),
    ),
    extensions(("x-lowest-role" = json!("anyone"))),
)]
async fn ready(Extract(state): Extract<State>) -> (StatusCode, Json<Ready>) {
    let (dynamodb, redis, blobs) = tokio::join!(
        check("dynamodb", state.dynamodb.ping()),
        check("redis", async {
            match state.redis.ping().await {
                Err(CacheError::NotConfigured) => Ok(()),
                answer => answer,
            }
        }),
        check("blobs", state.blobs.ping()),
    );
    let well = dynamodb.status == "ok" && blobs.status == "ok";
    let (code, status) = match (well, redis.status) {
        (true, "ok") => (StatusCode::OK, "ok"),
        (true, _) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    (code, Json(Ready { status, checks: Checks { dynamodb, redis, blobs } }))
}

async fn check<E: Display>(name: &str, question: impl Future<Output = Result<(), E>>) -> Check {
    let started = Instant::now();
    let answer = tokio::time::timeout(CHECK_LIMIT, question).await;
    let status = match answer {
        Ok(Ok(())) => "ok",
        Ok(Err(error)) => {
            tracing::warn!(dependency = name, %error, "not ready");
            "failed"
        }
        Err(_) => {
            tracing::warn!(dependency = name, limit_ms = CHECK_LIMIT.as_millis(), "not ready: no answer");
            "failed"
        }
    };
    Check { status, latency_ms: started.elapsed().as_millis() }
}
