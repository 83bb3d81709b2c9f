use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use futures::stream::BoxStream;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::error::Error;
use shared::http::{Json, PathId};
use shared::retrieval::Filter;
use shared::tenancy::{CollectionId, ConversationId, MessageId};
use utoipa::ToSchema;

use crate::State;
use crate::dialect::native::Sent;
use crate::dialect::{self, native};
use crate::event::{Citation, Event, FinishReason, Source, Usage};
use crate::run::{self, Ask, Caller, Question, Started};
use crate::tools::Within;

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

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
    /// Only documents whose metadata passes.
    #[schema(value_type = Option<Filter>)]
    filters: Option<Value>,
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
    caller: Caller,
    headers: HeaderMap,
    Json(request): Json<Request>,
) -> Result<Response, Error> {
    refuse_key(&headers, request.stream)?;
    let Request { message, conversation_id, collections, filters, stream } = request;
    let question = Question::New { conversation: conversation_id, text: message };
    answer(
        Box::pin(run::begin(&state, caller, Ask { question, within: Within { collections, filters } })).await?,
        stream,
    )
    .await
}

/// How a question is asked again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Regenerate {
    /// The answer that is to be replaced. If it is not the last of the conversation, nothing is.
    message_id: Option<MessageId>,
    /// What the answer may be made of; what the question was limited to if there are none.
    #[serde(default)]
    collections: Vec<CollectionId>,
    /// Only documents whose metadata passes; those of the question if there are none.
    #[schema(value_type = Option<Filter>)]
    filters: Option<Value>,
    /// Whether the answer is to come as it is made.
    #[serde(default = "default_stream")]
    #[schema(default = true)]
    stream: bool,
}

#[utoipa::path(
    post, path = "/conversations/{id}/regenerate", tag = "chat", operation_id = "regenerateAnswer",
    summary = "Replace the last answer of a conversation by another",
    params(("id" = ConversationId, Path)),
    request_body = Regenerate,
    responses(
        (status = 200, description = "The answer.", content(
            (WholeAnswer = "application/json"),
            (Sent = "text/event-stream"),
        )),
        (status = 409),
    ),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn regenerate(
    Extract(state): Extract<State>,
    caller: Caller,
    PathId(conversation): PathId<ConversationId>,
    headers: HeaderMap,
    Json(request): Json<Regenerate>,
) -> Result<Response, Error> {
    refuse_key(&headers, request.stream)?;
    let Regenerate { message_id, collections, filters, stream } = request;
    let question = Question::Regenerate { conversation, answer: message_id };
    answer(
        Box::pin(run::begin(&state, caller, Ask { question, within: Within { collections, filters } })).await?,
        stream,
    )
    .await
}

/// The last question, in other words.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "message": "What do ducklings eat?", "stream": false }))]
pub(crate) struct Edit {
    #[schema(min_length = 1, max_length = 8000, pattern = r"\S")]
    message: String,
    /// What the answer may be made of; all that the caller may read if there are none.
    #[serde(default)]
    collections: Vec<CollectionId>,
    /// Only documents whose metadata passes.
    #[schema(value_type = Option<Filter>)]
    filters: Option<Value>,
    /// Whether the answer is to come as it is made.
    #[serde(default = "default_stream")]
    #[schema(default = true)]
    stream: bool,
}

#[utoipa::path(
    post, path = "/conversations/{id}/edit", tag = "chat", operation_id = "editQuestion",
    summary = "Replace the last question of a conversation, and its answer",
    params(("id" = ConversationId, Path)),
    request_body = Edit,
    responses(
        (status = 200, description = "The answer.", content(
            (WholeAnswer = "application/json"),
            (Sent = "text/event-stream"),
        )),
        (status = 409),
    ),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn edit(
    Extract(state): Extract<State>,
    caller: Caller,
    PathId(conversation): PathId<ConversationId>,
    headers: HeaderMap,
    Json(request): Json<Edit>,
) -> Result<Response, Error> {
    refuse_key(&headers, request.stream)?;
    let Edit { message, collections, filters, stream } = request;
    let question = Question::Edit { conversation, text: message };
    answer(
        Box::pin(run::begin(&state, caller, Ask { question, within: Within { collections, filters } })).await?,
        stream,
    )
    .await
}

async fn answer(started: Started, stream: bool) -> Result<Response, Error> {
    if stream { Ok(streamed(started.events)) } else { collect(started).await }
}

/// The events in a stream.
pub(crate) fn streamed(events: BoxStream<'static, (u64, Event)>) -> Response {
    dialect::stream(events.map(|(number, event)| native::encode(&event, number)))
}

/// Refuses an `Idempotency-Key` for what cannot be given again: the answers of streams are not kept with their keys.
fn refuse_key(headers: &HeaderMap, stream: bool) -> Result<(), Error> {
    if stream && headers.contains_key(IDEMPOTENCY_KEY) {
        let rule = "is for answers with `stream: false`; a stream that broke is resumed at /chat/{message_id}/stream";
        return Err(Error::field(IDEMPOTENCY_KEY, rule));
    }
    Ok(())
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
async fn collect(started: Started) -> Result<Response, Error> {
    let Started { message_id, conversation_id, model, mut events, .. } = started;
    let mut whole = WholeAnswer {
        message_id,
        conversation_id,
        answer: String::new(),
        citations: Vec::new(),
        sources: Vec::new(),
        usage: Usage::default(),
        model,
        finish_reason: FinishReason::Error,
    };
    let mut failure = None;
    while let Some((_, event)) = events.next().await {
        match event {
            Event::Start { .. } | Event::ToolCall { .. } => {}
            Event::ToolResult { sources, .. } => {
                for source in sources {
                    if whole.sources.iter().all(|known| known.n != source.n) {
                        whole.sources.push(source);
                    }
                }
            }
            Event::Delta { text } => whole.answer.push_str(&text),
            Event::Citation(citation) => whole.citations.push(citation),
            Event::Usage(usage) => whole.usage = usage,
            Event::Error(problem) => failure = Some(problem),
            Event::Done { finish_reason, .. } => whole.finish_reason = finish_reason,
        }
    }
    // All of it was polled, so the answer is stored as far as it came.
    Ok(failure.map_or_else(|| Json(whole).into_response(), |problem| problem.into_response()))
}
