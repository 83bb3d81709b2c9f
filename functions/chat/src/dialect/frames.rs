use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue};
use serde::Serialize;

/// The longest silence on a stream, less than the ten seconds that clients are promised: proxies close quiet connections.
const PING: Duration = Duration::from_secs(8);
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

/// A frame with nothing but data.
pub(crate) fn frame(data: &impl Serialize) -> Event {
    with_data(Event::default(), data)
}

/// The frame with this data.
pub(crate) fn with_data(frame: Event, data: &impl Serialize) -> Event {
    frame.json_data(data).unwrap_or_else(|error| {
        tracing::error!(%error, "an event was not sent");
        Event::default().comment("an event was not sent")
    })
}

/// The last frame, as OpenAI's API has it and the AI SDK after it.
pub(crate) fn end() -> Event {
    Event::default().data("[DONE]")
}
