use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

/// The description of the whole API, as `make openapi` wrote it.
const DESCRIPTION: &str = include_str!("../../../docs/openapi.json");
/// It changes with a deployment only, so a caller need not ask again for an hour.
const KEEP: &str = "public, max-age=3600";

/// The version of the description: a strong entity tag (RFC 9110).
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::digest(DESCRIPTION);
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest[..16]))
});

#[utoipa::path(
    get, path = "/openapi.json", tag = "health", operation_id = "getDescription",
    summary = "This document",
    responses(
        (status = 200, description = "OpenAPI 3.1.", body = serde_json::Value, content_type = "application/json",
            headers(("ETag" = String), ("Cache-Control" = String))),
        (status = 304, description = "It has not changed.", headers(("ETag" = String), ("Cache-Control" = String))),
    ),
    extensions(("x-lowest-role" = json!("anyone"))),
)]
pub(crate) async fn read(headers: HeaderMap) -> Response {
    let about = [(ETAG, VERSION.as_str()), (CACHE_CONTROL, KEEP)];
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    if known.flat_map(|tags| tags.split(',')).any(|tag| tag.trim().trim_start_matches("W/") == *VERSION) {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, [(CONTENT_TYPE, "application/json")], DESCRIPTION).into_response()
}
