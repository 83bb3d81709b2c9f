use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream;
use http::header::{ACCEPT, CONTENT_LENGTH, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::BINARY;
use crate::answer::{Answer, Streamed, Whole};
use crate::invoke_error::InvokeError;

/// What a client gets.
pub(super) fn response(outcome: Result<Answer, InvokeError>, request: &HeaderMap) -> Response {
    let answered = match outcome {
        Ok(Answer::Buffered(said)) => Whole::proxied(&said).and_then(|said| buffered(said, request)),
        Ok(Answer::Streamed(said)) => Some(streamed(said)),
        Err(InvokeError::TimedOut) => return refusal(StatusCode::GATEWAY_TIMEOUT, "Endpoint request timed out"),
        Err(InvokeError::Throttled) => return refusal(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests"),
        Err(_) => None,
    };
    answered.unwrap_or_else(|| refusal(StatusCode::BAD_GATEWAY, "Internal server error"))
}

/// An answer of API Gateway's own.
pub(super) fn refusal(status: StatusCode, message: &str) -> Response {
    (status, axum::Json(json!({ "message": message }))).into_response()
}

fn buffered(said: Whole, request: &HeaderMap) -> Option<Response> {
    // Base64 is taken off for who accepts a binary type in the first place; others get it as it is.
    let accepts = request.get(ACCEPT).and_then(|accept| accept.to_str().ok()?.split(',').next());
    let decodes = said.is_base64 && accepts == Some(BINARY);
    let body = if decodes { STANDARD.decode(&said.body).ok()?.into() } else { said.body };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = said.status;
    *response.headers_mut() = said.headers;
    response.headers_mut().remove(CONTENT_LENGTH);
    Some(response)
}

fn streamed(Streamed { head, body }: Streamed) -> Response {
    let pieces = stream::unfold(body, async |mut body| Some((body.recv().await?, body)));
    let mut response = Response::new(Body::from_stream(pieces));
    *response.status_mut() = head.status_code;
    *response.headers_mut() = head.headers;
    for cookie in &head.cookies {
        if let Ok(cookie) = HeaderValue::from_str(cookie) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    response
}
