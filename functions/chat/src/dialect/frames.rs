use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue};

/// The longest silence on a stream: proxies close quiet connections.
const PING: Duration = Duration::from_secs(10);
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The frames as a response, with a comment wherever they are silent for long.
pub(crate) fn stream(frames: impl Stream<Item = Event> + Send + 'static) -> Response {
    let ping = KeepAlive::new().interval(PING).text("ping");
    let mut response = Sse::new(frames.map(Ok::<_, Infallible>)).keep_alive(ping).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Without this a proxy such as nginx collects the stream before it passes it on.
    headers.insert(NO_BUFFERING, HeaderValue::from_static("no"));
    response
}
