use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::State as Extract;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, future, stream};
use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use shared::error::Error;
use shared::http::{Json, RequestId};
use shared::tenancy::{CollectionId, ConversationId, MessageId, Principal};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::State;
use crate::conversations::{Author, Message};
use crate::dialect::native::{self, Sent};
use crate::event::{Citation, Event, FinishReason, Source, Usage};
use crate::run::{self, Question};

/// The longest question, in characters.
const MAX_MESSAGE: usize = 8_000;
/// The longest silence on a stream: proxies close quiet connections.
const PING: Duration = Duration::from_secs(10);

/// A question.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Chat, example = json!({ "message": "What do ducks eat?", "stream": false }))]
pub(crate) struct Request {
    #[schema(min_length = 1, max_length = 8000, pattern = r"\S")]
    message: String,
    /// The conversation that it continues; without one, another begins.
    conversation_id: Option<ConversationId>,
    /// What the answer may be made of; all that the caller may read if there are none.
    #[serde(default)]
    collections: Vec<CollectionId>,
    /// Whether the answer is to come as it is made.
    #[serde(default = "default_stream")]
    #[schema(default = true)]
    stream: bool,
}

fn default_stream() -> bool {
    true
}

#[utoipa::path(
    post, path = "/chat", tag = "chat", operation_id = "chat",
    summary = "Ask a question about the documents",
    description = "The answer is streamed as server-sent events: `start`, `tool_call`, `tool_result`, `delta`, `citation`, \
        `usage`, `error` and `done`. With `stream: false` it is one document.",
    request_body = Request,
    responses(
        (status = 200, description = "The answer.", content(
            (WholeAnswer = "application/json"),
            (Sent = "text/event-stream"),
        )),
        (status = 404),
    ),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn chat(
    Extract(state): Extract<State>,
    Extension(request_id): Extension<RequestId>,
    principal: Principal,
    Json(request): Json<Request>,
) -> Result<Response, Error> {
    let whole = !request.stream;
    let question = accept(&state, principal, request).await?;
    let conversation = question.conversation;
    let events = run::answer(state, question, request_id);
    if !whole { Ok(streamed(events)) } else { Ok(Json(collect(events, conversation).await?).into_response()) }
}

/// Checks a question and enters it into its conversation, before the first byte of an answer.
async fn accept(state: &State, principal: Principal, request: Request) -> Result<Question, Error> {
    if request.message.trim().is_empty() || request.message.chars().count() > MAX_MESSAGE {
        return Err(Error::field("/message", format!("must have 1 to {MAX_MESSAGE} characters")));
    }
    for (index, id) in request.collections.iter().enumerate() {
        if !principal.reads(id) {
            return Err(Error::field(format!("/collections/{index}"), "there is no such collection"));
        }
    }
    let conversation = match request.conversation_id {
        Some(id) => state.conversations.get(&principal, id).await?.id,
        None => state.conversations.begin(&principal, &request.message, OffsetDateTime::now_utc()).await?.id,
    };
    let message = Message {
        id: MessageId::new(),
        role: Author::User,
        content: request.message.clone(),
        sources: Vec::new(),
        citations: Vec::new(),
        usage: None,
        model: None,
        finish_reason: None,
        created_at: OffsetDateTime::now_utc(),
    };
    state.conversations.add(&principal, conversation, &message).await?;
    Ok(Question { principal, conversation, text: request.message, collections: request.collections })
}

fn streamed(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let events = events.zip(stream::iter(1..)).filter_map(|(event, number)| {
        let encoded = native::encode(&event, number);
        let encoded = encoded.inspect_err(|error| tracing::error!(%error, "an event was not sent"));
        future::ready(encoded.ok().map(Ok::<_, Infallible>))
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(PING).text("ping")).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Without this a proxy such as nginx collects the stream before it passes it on.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// An answer with what it is made of.
#[derive(Serialize, ToSchema)]
#[schema(as = Answer)]
struct WholeAnswer {
    message_id: MessageId,
    conversation_id: ConversationId,
    answer: String,
    citations: Vec<Citation>,
    sources: Vec<Source>,
    usage: Usage,
    model: String,
    finish_reason: FinishReason,
}

/// The same events as one document. A failure is a status here, since nothing was sent yet.
async fn collect(events: impl Stream<Item = Event>, conversation_id: ConversationId) -> Result<WholeAnswer, Error> {
    let mut events = std::pin::pin!(events);
    let (mut answer, mut citations, mut sources) = (String::new(), Vec::new(), Vec::new());
    let (mut usage, mut model) = (Usage::default(), String::new());
    while let Some(event) = events.next().await {
        match event {
            Event::Start { model: name, .. } => model = name,
            Event::ToolCall { .. } => {}
            Event::ToolResult { sources: found, .. } => sources.extend(found),
            Event::Delta { text } => answer.push_str(&text),
            Event::Citation(citation) => citations.push(citation),
            Event::Usage(used) => usage = used,
            Event::Error(problem) => return Err(Error::internal(problem.detail)),
            Event::Done { finish_reason, message_id } => {
                let model = std::mem::take(&mut model);
                return Ok(WholeAnswer {
                    message_id,
                    conversation_id,
                    answer,
                    citations,
                    sources,
                    usage,
                    model,
                    finish_reason,
                });
            }
        }
    }
    Err(Error::internal("the stream of events ended without its last"))
}
