use std::time::Duration;

use axum::Router;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderName, Method};
use tower_http::cors::CorsLayer;

use crate::config::AllowedOrigins;

/// How long a browser may remember what it was allowed; none of them does so for longer.
const REMEMBERED: Duration = Duration::from_hours(2);

/// Lets pages of these origins call a router and read its answers (Fetch Standard, "CORS protocol"). On Lambda it is API
/// Gateway that answers the question a browser asks before, by the same lists in the template.
pub fn cors(router: Router, AllowedOrigins(origins): AllowedOrigins) -> Router {
    if origins.is_empty() {
        return router;
    }
    let asked = ["idempotency-key", "last-event-id", "traceparent"].map(HeaderName::from_static);
    let told = [
        "cache-status",
        "idempotency-expires",
        "idempotency-replayed",
        "ratelimit",
        "ratelimit-policy",
        "x-request-id",
    ];
    router.layer(
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::DELETE, Method::GET, Method::PATCH, Method::POST, Method::PUT])
            .allow_headers(
                [AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, IF_NONE_MATCH]
                    .into_iter()
                    .chain(asked)
                    .collect::<Vec<_>>(),
            )
            .expose_headers(
                [ETAG, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE]
                    .into_iter()
                    .chain(told.map(HeaderName::from_static))
                    .collect::<Vec<_>>(),
            )
            .max_age(REMEMBERED),
    )
}
