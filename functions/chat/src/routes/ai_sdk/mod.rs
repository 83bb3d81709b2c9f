//! What `useChat` of Vercel's AI SDK asks for: `/chat/ai-sdk` is the `api` of its transport.

mod request;

use axum::extract::State as Extract;
use axum::response::sse::Event as Frame;
use axum::response::{IntoResponse, Response};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use http::{HeaderName, HeaderValue, StatusCode};
use shared::error::Error;
use shared::http::{LongJson, PathId};
use shared::tenancy::Principal;

use self::request::Request;
use crate::State;
use crate::conversations::ChatId;
use crate::dialect;
use crate::dialect::ai_sdk::Encoder;
use crate::event::Event;
use crate::run::{self, Caller};

/// By which clients tell the protocol and its version.
const PROTOCOL: HeaderName = HeaderName::from_static("x-vercel-ai-ui-message-stream");

#[utoipa::path(
    post, path = "/chat/ai-sdk", tag = "chat", operation_id = "chatByAiSdk",
    summary = "Ask a question, by the AI SDK",
    description = "The answer is a UI message stream, version 1, as server-sent events. The conversation is found by the chat's id, \
        which is the caller's own; it begins with the first message.",
    request_body = Request,
    responses(
        (status = 200, description = "The answer.", content((String = "text/event-stream"))),
        (status = 409),
    ),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn chat(
    Extract(state): Extract<State>,
    caller: Caller,
    LongJson(request): LongJson<Request>,
) -> Result<Response, Error> {
    let started = run::begin(&state, caller, request.ask()?).await?;
    Ok(streamed(started.events))
}

fn streamed(events: BoxStream<'static, (u64, Event)>) -> Response {
    let mut response = dialect::stream(frames(events));
    response.headers_mut().insert(PROTOCOL, HeaderValue::from_static("v1"));
    response
}

fn frames(events: BoxStream<'static, (u64, Event)>) -> impl Stream<Item = Frame> {
    let chunks = events.scan(Encoder::default(), |encoder, (_, event)| {
        let frames: Vec<_> = encoder.encode(event).iter().map(dialect::frame).collect();
        std::future::ready(Some(stream::iter(frames)))
    });
    chunks.flatten().chain(stream::once(async { dialect::end() }))
}
