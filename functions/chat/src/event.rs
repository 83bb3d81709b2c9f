//! What happens while an answer is made: one type, which dialects encode and the log of a run keeps.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::http::Problem;
use shared::retrieval::{Passage, Span};
use shared::tenancy::{ConversationId, DocumentId, MessageId};
use utoipa::ToSchema;

/// One event. An answer begins with `Start` and ends with `Done`; what lies between may come in any number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub(crate) enum Event {
    Start {
        message_id: MessageId,
        conversation_id: ConversationId,
        model: String,
    },
    ToolCall {
        id: String,
        name: String,
        arguments: Value,
    },
    ToolResult {
        id: String,
        sources: Vec<Source>,
        /// What went wrong with the call, for the model and for whoever looks on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    Delta {
        text: String,
    },
    /// Comes after the delta that holds the end of its marker.
    Citation(Citation),
    Usage(Usage),
    Error(Box<Problem>),
    Done {
        finish_reason: FinishReason,
        message_id: MessageId,
    },
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
    #[serde(default)]
    #[schema(required)]
    pub(crate) filename: String,
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

impl Usage {
    /// So many tokens.
    pub(crate) fn of(input: u64, output: u64) -> Self {
        let tokens = |number| usize::try_from(number).unwrap_or(usize::MAX);
        Self { input_tokens: tokens(input), output_tokens: tokens(output) }
    }

    /// Adds what another turn took.
    pub(crate) fn add(&mut self, other: Self) {
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FinishReason {
    /// It is complete.
    Stop,
    /// It reached the most tokens, steps or time that an answer may have.
    Length,
    /// Its user stopped it.
    Stopped,
    /// Something failed.
    Error,
    /// It reached what it may cost.
    Budget,
}

impl FinishReason {
    /// The word for it in measurements, as in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Stopped => "stopped",
            Self::Error => "error",
            Self::Budget => "budget",
        }
    }
}
