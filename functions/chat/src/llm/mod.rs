//! Language models: one turn at a time, as a stream of pieces.

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use shared::error::{Error, ModelFault};

use crate::event::{Source, Usage};
use crate::tools::Tool;

/// A provider of language models.
#[async_trait]
pub trait Llm: Send + Sync {
    /// Begins a turn. It ends, and what it held of the provider is given back, when the stream is dropped.
    async fn turn(&self, prompt: Prompt) -> Result<Turn, LlmError>;
}

/// The pieces of a turn in their order. The last one is [`Piece::End`]; a turn without is broken.
pub type Turn = BoxStream<'static, Result<Piece, LlmError>>;

/// What a turn is made of.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// The model's name at its provider.
    pub model: String,
    /// What the model is told before anything else.
    pub system: String,
    /// The conversation, oldest first. The last one is what the turn answers.
    pub messages: Vec<PromptMessage>,
    /// What the model may call; nothing in the last turn of an answer.
    pub tools: &'static [Tool],
    /// The most tokens that the turn may write. Always sent: a provider reserves so many.
    pub max_tokens: u32,
}

/// A message of a conversation as a model sees it.
#[derive(Debug, Clone, PartialEq)]
pub enum PromptMessage {
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
pub struct Call {
    /// By which its outcome names it.
    pub id: String,
    /// The tool's name, as the model wrote it.
    pub name: String,
    /// JSON, as the model wrote it; not checked.
    pub arguments: String,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The call.
    pub call: String,
    /// What the model reads.
    pub text: String,
    /// Whether the call failed, so that the model may try otherwise.
    pub failed: bool,
    /// The passages in it, for an answerer that reads no text.
    pub sources: Vec<Source>,
}

/// A piece of a turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
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
pub enum Ending {
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
pub struct LlmError {
    /// What the provider did instead.
    pub fault: ModelFault,
    /// For the log; never the prompt, nor the answer.
    pub context: String,
    /// When to try again, if the provider said so.
    pub retry_after: Option<Duration>,
}

impl LlmError {
    /// A fault with what is known of it.
    pub fn new(fault: ModelFault, context: impl Into<String>) -> Self {
        Self { fault, context: context.into(), retry_after: None }
    }
}

impl From<LlmError> for Error {
    fn from(LlmError { fault, context, retry_after }: LlmError) -> Self {
        Self::Model { fault, context, retry_after }
    }
}
