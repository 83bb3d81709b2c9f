//! What happens while an answer is made, in the native dialect of the stream.

use axum::response::sse;
use serde::{Deserialize, Serialize};
use shared::error::Error;
use shared::http::{RequestId, problem_for};
use shared::retrieval::{Passage, Span};
use shared::tenancy::{ConversationId, DocumentId, MessageId};
use utoipa::ToSchema;

/// One event of the stream.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Event {
    Start {
        message_id: MessageId,
        conversation_id: ConversationId,
        model: &'static str,
    },
    ToolCall {
        id: String,
        name: &'static str,
        arguments: serde_json::Value,
    },
    ToolResult {
        id: String,
        sources: Vec<Source>,
    },
    Delta {
        text: String,
    },
    Citation(Citation),
    Usage(Usage),
    /// What went wrong; who encodes it makes it a problem document.
    #[serde(skip)]
    Failed(Error),
    Done {
        finish_reason: FinishReason,
        message_id: MessageId,
    },
}

impl Event {
    /// The name of the event on the wire.
    fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::ToolCall { .. } => "tool_call",
            Self::ToolResult { .. } => "tool_result",
            Self::Delta { .. } => "delta",
            Self::Citation(_) => "citation",
            Self::Usage(_) => "usage",
            Self::Failed(_) => "error",
            Self::Done { .. } => "done",
        }
    }

    /// The event as a server-sent one, numbered from 1.
    pub(crate) fn encode(&self, number: usize, request_id: &RequestId) -> Result<sse::Event, axum::Error> {
        let event = sse::Event::default().id(number.to_string()).event(self.name());
        match self {
            Self::Failed(error) => {
                let mut problem = problem_for(error);
                problem.request_id.clone_from(&request_id.0);
                event.json_data(problem)
            }
            event_of_the_answer => event.json_data(event_of_the_answer),
        }
    }
}

/// An event of the stream, as it is described.
#[derive(ToSchema)]
#[schema(as = AnswerEvent)]
#[expect(dead_code, reason = "an event is encoded part by part")]
pub(crate) struct Sent {
    /// Counts from 1.
    #[schema(pattern = "^[1-9][0-9]*$")]
    id: String,
    event: Name,
    /// JSON; `docs/API.md` says what is in it.
    data: String,
}

#[derive(ToSchema)]
#[schema(as = AnswerEventName, rename_all = "snake_case")]
#[expect(dead_code, reason = "an event names itself")]
enum Name {
    Start,
    ToolCall,
    ToolResult,
    Delta,
    Citation,
    Usage,
    Error,
    Done,
}

/// A passage that an answer may cite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Source {
    /// What the markers call it, from 1.
    pub(crate) n: usize,
    pub(crate) chunk_id: String,
    pub(crate) document_id: DocumentId,
    pub(crate) filename: String,
    #[schema(required)]
    pub(crate) page: Option<u32>,
    pub(crate) span: Span,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn new(n: usize, passage: &Passage) -> Self {
        Self {
            n,
            chunk_id: passage.chunk_id.clone(),
            document_id: passage.document_id,
            filename: passage.filename.clone(),
            page: passage.page,
            span: passage.span,
            text: passage.text.clone(),
        }
    }
}

/// Where a marker stands in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Citation {
    /// The source the marker names.
    pub(crate) n: usize,
    pub(crate) chunk_id: String,
    pub(crate) document_id: DocumentId,
    /// The first place of the marker, in UTF-16 code units, as browsers count.
    pub(crate) start: usize,
    /// One behind its last place.
    pub(crate) end: usize,
}

/// What an answer took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = AnswerUsage)]
pub(crate) struct Usage {
    pub(crate) input_tokens: usize,
    pub(crate) output_tokens: usize,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FinishReason {
    /// It is complete.
    Stop,
    /// Something failed.
    Error,
}
