use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use http_body::Body as _;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::http::{PROBLEM_JSON, document, problem_for};

/// The largest body that is kept, in bytes: an item of the database has 400 kB.
const MAX_BODY: usize = 300_000;
/// The headers that are kept.
const HEADERS: [HeaderName; 3] = [CACHE_CONTROL, CONTENT_TYPE, LOCATION];

/// An answer that is given again to a repetition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeptAnswer {
    head: Head,
    body: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

impl KeptAnswer {
    /// The response as it goes to the caller, and what to keep of it; nothing if a repetition may end better, if it is too
    /// large, or if it is a stream, whose end is not known.
    pub(super) async fn of(response: Response, path: &str, request_id: &str) -> (Response, Option<Self>) {
        if may_end_better(response.status()) {
            return (response, None);
        }
        let status = response.status().as_u16();
        // The boundary writes the document when this is past.
        if let Some(error) = response.extensions().get::<Arc<Error>>() {
            let body = document(problem_for(error), path, request_id).into();
            let kind = String::from_utf8_lossy(PROBLEM_JSON.as_bytes()).into_owned();
            let head = Head { status, headers: vec![(CONTENT_TYPE.to_string(), kind)] };
            return (response, Some(Self { head, body }));
        }
        if response.body().size_hint().exact().is_none_or(|size| size > MAX_BODY as u64) {
            return (response, None);
        }
        let (mut parts, body) = response.into_parts();
        let body = match to_bytes(body, MAX_BODY).await {
            Ok(body) => body,
            Err(error) => {
                parts.headers.remove(CONTENT_LENGTH);
                return (Error::internal(error).into_response(), None);
            }
        };
        let text = |name: &HeaderName| Some((name.to_string(), parts.headers.get(name)?.to_str().ok()?.to_owned()));
        let head = Head { status, headers: HEADERS.iter().filter_map(text).collect() };
        (Response::from_parts(parts, Body::from(body.clone())), Some(Self { head, body }))
    }

    /// The answer again.
    pub(super) fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = StatusCode::from_u16(self.head.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in &self.head.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    /// What is sealed: a line of JSON, then the body as it is.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let head = serde_json::to_vec(&self.head).map_err(Error::internal)?;
        Ok([head.as_slice(), b"\n", &self.body].concat())
    }

    /// The answer in what was sealed.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        let end = memchr::memchr(b'\n', &bytes).ok_or_else(|| Error::internal("a kept answer has no head"))?;
        let head = serde_json::from_slice(&bytes[..end]).map_err(Error::internal)?;
        Ok(Self { head, body: Bytes::from(bytes).slice(end + 1..) })
    }
}

/// Whether it was not the request that was at fault, or not for long: limits, permissions, and all that failed here.
fn may_end_better(status: StatusCode) -> bool {
    let passing = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS];
    status.is_server_error() || passing.contains(&status)
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;

    use super::*;

    async fn kept(response: impl IntoResponse) -> Option<KeptAnswer> {
        KeptAnswer::of(response.into_response(), "/keys", "01R").await.1
    }

    #[tokio::test]
    async fn an_answer_is_the_same_again() {
        let body = Bytes::from_static(b"\xff\n\x00{}\n");
        let headers = [(CONTENT_TYPE, "application/pdf"), (LOCATION, "/keys/1"), (http::header::VARY, "x")];
        let answer = kept((StatusCode::CREATED, headers, body.clone())).await.unwrap();
        let read = KeptAnswer::from_bytes(answer.to_bytes().unwrap()).unwrap();
        assert_eq!(read, answer);
        let response = read.response();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/pdf");
        assert_eq!(response.headers()[LOCATION], "/keys/1");
        assert_eq!(response.headers().len(), 2, "what belongs to one exchange only is not kept");
        assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), body);
    }

    #[tokio::test]
    async fn a_refusal_is_kept_with_the_document_that_the_caller_got() {
        let answer = kept(Error::field("/name", "is missing")).await.unwrap();
        assert_eq!(answer.head.status, 400);
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["instance"], "/keys");
        assert_eq!(problem["request_id"], "01R");
        assert_eq!(problem["errors"][0]["pointer"], "/name");
    }

    #[tokio::test]
    async fn what_may_end_better_is_too_large_or_has_no_end_is_not_kept() {
        for status in [401, 403, 429, 500, 502, 503, 504] {
            assert_eq!(kept(StatusCode::from_u16(status).unwrap()).await, None, "{status}");
        }
        for status in [200, 202, 204, 400, 404, 409, 413, 415, 422] {
            assert!(kept(StatusCode::from_u16(status).unwrap()).await.is_some(), "{status}");
        }
        assert_eq!(kept(Error::unavailable("x")).await, None);
        assert!(kept(vec![0; MAX_BODY]).await.is_some());
        assert_eq!(kept(vec![0; MAX_BODY + 1]).await, None);
        let stream = futures::stream::iter([Ok::<_, std::io::Error>("a")]);
        assert_eq!(kept(Body::from_stream(stream)).await, None);
    }
}
