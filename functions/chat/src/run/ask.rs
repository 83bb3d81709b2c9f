use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use shared::door::{Recall, TenantRecord};
use shared::embed::estimated_tokens;
use shared::error::Error;
use shared::http::{Deadline, RequestId};
use shared::tenancy::{ConversationId, MessageId, Principal};
use time::OffsetDateTime;

use crate::conversations::{Author, ChatId, Place};
use crate::tools::Within;

/// The longest question, in characters.
pub(crate) const MAX_MESSAGE: usize = 8_000;
/// In a token, of most languages.
const CHARACTERS: usize = 4;

/// Who asks.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    pub(crate) tenant: TenantRecord,
    pub(crate) recall: Recall,
    pub(crate) request_id: RequestId,
    /// When the function that answers is ended, if that is known.
    pub(crate) deadline: Option<OffsetDateTime>,
}

/// What is asked, in whatever dialect.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) question: Question,
    /// What the answer may be made of. Of an answer that is made anew, it is as its question was limited where this says nothing.
    pub(crate) within: Within,
}

/// The kinds of questions.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// One more in a conversation, or the first of a new one.
    New { conversation: Option<ConversationId>, text: String },
    /// The last one again, for another answer in place of the last. If an answer is named, it must be that.
    Regenerate { conversation: ConversationId, answer: Option<MessageId> },
    /// One in place of the last, whose answer goes with it.
    Edit { conversation: ConversationId, text: String },
    /// One in the conversation of an application's chat, which begins with it if there is none.
    Chat { chat: ChatId, place: Place, text: String },
    /// One that brings its conversation along. Nothing of it is stored.
    Stateless {
        /// What was said before, oldest first.
        history: Vec<(Author, String)>,
        text: String,
        /// What the application tells the model.
        instructions: Option<String>,
    },
}

impl Caller {
    /// The time until the function is ended, if it is known.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let left = self.deadline? - OffsetDateTime::now_utc();
        Duration::try_from(left).ok().filter(|left| !left.is_zero())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let principal = Principal::from_request_parts(parts, state).await?;
        let behind = || Error::internal("a request that did not pass the door");
        let tenant = parts.extensions.get().cloned().ok_or_else(behind)?;
        let recall = parts.extensions.get().cloned().ok_or_else(behind)?;
        let request_id = parts.extensions.get().cloned().ok_or_else(behind)?;
        let deadline = parts.extensions.get().map(|Deadline(at)| *at);
        Ok(Self { principal, tenant, recall, request_id, deadline })
    }
}

impl Ask {
    /// Refuses what cannot be asked.
    pub(super) fn check(&self) -> Result<(), Error> {
        let text = match &self.question {
            Question::New { text, .. }
            | Question::Edit { text, .. }
            | Question::Chat { text, .. }
            | Question::Stateless { text, .. } => text,
            Question::Regenerate { .. } => return Ok(()),
        };
        if text.trim().is_empty() || text.chars().count() > MAX_MESSAGE {
            return Err(Error::field("/message", format!("must have 1 to {MAX_MESSAGE} characters")));
        }
        Ok(())
    }

    /// An estimate of the tokens in it, but for a history.
    pub(super) fn tokens(&self) -> u64 {
        let tokens = match &self.question {
            Question::New { text, .. } | Question::Edit { text, .. } | Question::Chat { text, .. } => {
                estimated_tokens(text)
            }
            Question::Stateless { text, instructions, .. } => {
                estimated_tokens(text) + instructions.as_deref().map_or(0, estimated_tokens)
            }
            // It was asked before.
            Question::Regenerate { .. } => MAX_MESSAGE / CHARACTERS,
        };
        tokens as u64
    }

    /// Whether nothing of it is stored.
    pub(super) fn is_stateless(&self) -> bool {
        matches!(self.question, Question::Stateless { .. })
    }
}
