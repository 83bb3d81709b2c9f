use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use http_body::Body as _;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use ulid::Ulid;

use super::problem::{Problem, ProblemFormat, problem_for, problem_for_status};
use crate::error::Error;
use crate::metrics;
use crate::telemetry::{self, Caught, Within};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The content type of a problem document.
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The id that a request's log lines and its answer share.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Puts the edge around a router: a request id on every answer, one log line per request, problem documents for all
/// that went wrong, and a 500 for a panic instead of a torn connection.
pub fn boundary(router: Router) -> Router {
    router
        .layer(CatchPanicLayer::custom(panicked))
        .method_not_allowed_fallback(|| async { StatusCode::METHOD_NOT_ALLOWED })
        .layer(middleware::from_fn(observe))
}

impl IntoResponse for Error {
    /// A bare status that carries the error to the boundary, which knows the request and writes the document.
    fn into_response(self) -> Response {
        let mut response = StatusCode::from_u16(problem_for(&self).status)
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = match request.extensions().get::<RequestId>() {
        Some(RequestId(id)) => id.clone(),
        None => Ulid::generate().to_string(),
    };
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let parent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()?.parse().ok());
    let root = telemetry::request(&id, &method, route, parent);
    request.extensions_mut().insert(root.clone());

    let mut response = next.run(request).instrument(root.span().clone()).await;

    let error = response.extensions_mut().remove::<Arc<Error>>();
    let status = response.status();
    let bare = error.is_none() && is_bare_failure(&response);
    if let Some(error) = &error {
        put_problem(&mut response, problem_for(error), &path, &id);
        add_headers(error, &mut response);
    } else if bare {
        put_problem(&mut response, problem_for_status(status), &path, &id);
    }
    let failed = status.is_server_error() && (error.is_some() || bare);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }

    let took = started.elapsed();
    metrics::HTTP_REQUEST.answered(&method, route, status, took);
    if status.is_server_error() {
        metrics::HTTP_SERVER_ERRORS.add_to(route);
    }
    let (status, duration_ms) = (status.as_u16(), took.as_millis());
    let code = failed.then(|| error.as_ref().map_or("internal".into(), |error| problem_for(error).code));
    root.answered(status, code.as_deref());
    let within = root.span().enter();
    let path = || known_path(route, &path);
    match &error {
        Some(error) if failed => tracing::error!(path = &*path(), status, duration_ms, %error, "failed"),
        None if failed => tracing::error!(path = &*path(), status, duration_ms, "failed"),
        Some(error) => tracing::info!(path = &*path(), status, duration_ms, %error, "refused"),
        None => tracing::info!(path = &*path(), status, duration_ms, "answered"),
    }
    drop(within);
    if response.body().size_hint().exact().is_none() {
        // It is made while it is read.
        response = response.map(|body| Body::new(Within::new(body, root.span().clone())));
    }
    response
}

/// The path as it may be logged: what stands for a part of the route is shown if it is an id that we made. Any other is a name
/// that somebody chose, which may be an address.
fn known_path<'a>(route: &str, path: &'a str) -> Cow<'a, str> {
    if !route.is_empty() && !route.contains('{') {
        return path.into();
    }
    let parts = route.split('/').zip(path.split('/'));
    let is_name = |part: &str, given| part.starts_with('{') && Ulid::from_string(given).is_err();
    let shown = parts.map(|(part, given)| if is_name(part, given) { "…" } else { given });
    shown.collect::<Vec<_>>().join("/").into()
}

/// Whether the router answered by itself, with a status and at most a line of text.
fn is_bare_failure(response: &Response) -> bool {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    (status.is_client_error() || status.is_server_error()) && kind.is_none_or(|kind| kind.starts_with(b"text/plain"))
}

/// Makes a problem document the body; the other headers, such as limits and allowed methods, stay.
fn put_problem(response: &mut Response, problem: Problem, path: &str, request_id: &str) {
    let (body, kind) = match response.extensions_mut().remove() {
        Some(ProblemFormat(write)) => (write(&problem), JSON),
        None => (document(problem, path, request_id), PROBLEM_JSON),
    };
    *response.body_mut() = Body::from(body);
    response.headers_mut().remove(CONTENT_LENGTH);
    response.headers_mut().insert(CONTENT_TYPE, kind);
}

/// The document of a problem that a request met with.
pub(crate) fn document(mut problem: Problem, path: &str, request_id: &str) -> Vec<u8> {
    path.clone_into(&mut problem.instance);
    request_id.clone_into(&mut problem.request_id);
    serde_json::to_vec(&problem).unwrap_or_default()
}

fn add_headers(error: &Error, response: &mut Response) {
    if let Error::Unauthenticated(_) = error {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(seconds) = error.retry_after_seconds() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

fn panicked(panic: Box<dyn Any + Send + 'static>) -> http::Response<Body> {
    Error::from(Caught::of(panic)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_somebody_chose_is_not_logged() {
        for (route, path, expected) in [
            ("/documents/{id}/chunks", "/documents/01J9ZQ3W6V8Y0ABCDEFGHJKMNP/chunks", None),
            ("/users/{id}", "/users/ada@example.com", Some("/users/…")),
            ("/users/me", "/users/me", None),
            ("", "/sk-live-planted/a", Some("")),
        ] {
            assert_eq!(known_path(route, path), expected.unwrap_or(path), "{path}");
        }
    }
}
