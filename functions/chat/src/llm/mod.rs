//! Language models: one turn at a time, as a stream of pieces.

mod bedrock;
mod extractive;
mod models;
mod openai;
mod pace;

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use shared::error::{Error, ModelFault};

use crate::event::{Source, Usage};
use crate::tools::Tool;

use extractive::Extractive;
pub use models::Models;

/// A provider of language models.
#[async_trait]
pub(crate) trait Llm: Send + Sync {
    /// Begins a turn. It ends, and what it held of the provider is given back, when the stream is dropped.
    async fn turn(&self, prompt: Prompt) -> Result<Turn, LlmError>;
}

/// The pieces of a turn in their order. The last one is [`Piece::End`]; a turn without is broken.
pub(crate) type Turn = BoxStream<'static, Result<Piece, LlmError>>;

/// What a turn is made of.
#[derive(Debug, Clone)]
pub(crate) struct Prompt {
    /// The model's name at its provider.
    pub(crate) model: String,
    /// What the model is told before anything else.
    pub(crate) system: String,
    /// The conversation, oldest first. The last one is what the turn answers.
    pub(crate) messages: Vec<PromptMessage>,
    /// What the model may call; nothing in the last turn of an answer.
    pub(crate) tools: &'static [Tool],
    /// The most tokens that the turn may write. Always sent: a provider reserves so many.
    pub(crate) max_tokens: u32,
}

/// A message of a conversation as a model sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PromptMessage {
    /// What the user said.
    User(String),
    /// What the model said, and the tools that it called.
    Assistant {
        /// Its words; may be empty if it called tools.
        text: String,
        /// Its calls.
        calls: Vec<Call>,
    },
    /// What came of the calls of the message before, one for each.
    Results(Vec<Outcome>),
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// By which its outcome names it.
    pub(crate) id: String,
    /// The tool's name, as the model wrote it.
    pub(crate) name: String,
    /// JSON, as the model wrote it; not checked.
    pub(crate) arguments: String,
}

impl Prompt {
    /// What the model is told, message by message with its role.
    fn told(&self) -> impl Iterator<Item = (&'static str, &str)> {
        std::iter::once(("system", self.system.as_str())).chain(self.messages.iter().flat_map(PromptMessage::parts))
    }
}

impl PromptMessage {
    /// Its texts, each with the role of who says it.
    fn parts(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::User(text) => vec![("user", text.as_str())],
            Self::Assistant { text, .. } => vec![("assistant", text.as_str())],
            Self::Results(outcomes) => outcomes.iter().map(|outcome| ("tool", outcome.text.as_str())).collect(),
        }
    }
}

impl Call {
    /// The arguments, if they are what arguments must be.
    fn object(&self) -> Option<serde_json::Map<String, serde_json::Value>> {
        serde_json::from_str(&self.arguments).ok()
    }
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    /// The call.
    pub(crate) call: String,
    /// What the model reads.
    pub(crate) text: String,
    /// Whether the call failed, so that the model may try otherwise.
    pub(crate) failed: bool,
    /// The passages in it, for an answerer that reads no text.
    pub(crate) sources: Vec<Source>,
}

/// A piece of a turn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    /// Words.
    Text(String),
    /// A call, whole.
    Call(Call),
    /// What the turn took, as the provider counts. May come more than once; the last one counts.
    Usage(Usage),
    /// The end of the turn.
    End(Ending),
}

/// Why a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The model said all it wanted.
    Stop,
    /// The model waits for the outcomes of its calls.
    Calls,
    /// It wrote as many tokens as it may.
    Length,
    /// The provider held back what it said.
    Filtered,
}

/// Why there is no turn, or no more of it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{fault:?}: {context}")]
pub(crate) struct LlmError {
    /// What the provider did instead.
    pub(crate) fault: ModelFault,
    /// For the log; never the prompt, nor the answer.
    pub(crate) context: String,
    /// When to try again, if the provider said so.
    pub(crate) retry_after: Option<Duration>,
}

impl LlmError {
    /// A fault with what is known of it.
    pub(crate) fn new(fault: ModelFault, context: impl Into<String>) -> Self {
        Self { fault, context: context.into(), retry_after: None }
    }

    /// What traces call it.
    pub(crate) fn kind(&self) -> &'static str {
        match self.fault {
            ModelFault::Unavailable => "unavailable",
            ModelFault::Overloaded => "overloaded",
            ModelFault::TimedOut => "timed_out",
            ModelFault::Broken => "broken",
            ModelFault::Refused => "refused",
        }
    }
}

impl From<LlmError> for Error {
    fn from(LlmError { fault, context, retry_after }: LlmError) -> Self {
        Self::Model { fault, context, retry_after }
    }
}
