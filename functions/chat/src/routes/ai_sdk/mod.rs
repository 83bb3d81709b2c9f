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
use crate::conversations::{ChatId, Known};
use crate::dialect;
use crate::dialect::ai_sdk::Encoder;
use crate::event::Event;
use crate::run::{self, Caller};
use crate::runs::Followed;

/// By which clients tell the protocol and its version.
const PROTOCOL: HeaderName = HeaderName::from_static("x-vercel-ai-ui-message-stream");

#[utoipa::path(
    post, path = "/chat/ai-sdk", tag = "chat", operation_id = "chatByAiSdk",
    summary = "Ask a question, by the AI SDK",
    description = "The answer is a UI message stream, version 1, as server-sent events. The conversation is found by the chat's id, \
        which is the caller's own; it begins with the first message.",
    request_body = Request,
    responses(
        (status = 200, description = "The answer.", content((dialect::Data = "text/event-stream"))),
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

#[utoipa::path(
    get, path = "/chat/ai-sdk/{id}/stream", tag = "chat", operation_id = "resumeByAiSdk",
    summary = "Take up the answer of a chat again, by the AI SDK",
    description = "The stream of the answer that is being made, from its beginning.",
    params(("id" = ChatId, Path)),
    responses(
        (status = 200, description = "The answer.", content((dialect::Data = "text/event-stream"))),
        (status = 204, description = "None is being made, or there is no such chat."),
    ),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn follow(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(chat): PathId<ChatId>,
) -> Result<Response, Error> {
    Ok(match events(&state, &principal, &chat).await? {
        Some(events) => streamed(events),
        // Of a chat that has not begun the SDK asks the same.
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// What happened and happens in the answer that is being made in a chat, if one is.
async fn events(
    state: &State,
    principal: &Principal,
    chat: &ChatId,
) -> Result<Option<BoxStream<'static, (u64, Event)>>, Error> {
    let Known::There(conversation) = state.conversations.of_chat(principal, chat).await? else { return Ok(None) };
    let Some(run) = state.runs.active(principal, conversation).await else { return Ok(None) };
    match state.runs.follow(principal, run, 0).await {
        Ok(Followed::Events(events)) => Ok(Some(events)),
        Ok(Followed::Nothing) | Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
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
