use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::retrieval::Filter;
use shared::tenancy::{CollectionId, MessageId};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::event::{Citation, Event, FinishReason, Source, Usage};
use crate::tools::Within;

/// A question or an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    pub(crate) role: Author,
    #[serde(default)]
    #[schema(required)]
    pub(crate) status: Status,
    pub(crate) content: String,
    /// What a question is limited to; nothing if to nothing but what its user may read.
    #[serde(default)]
    #[schema(required)]
    pub(crate) collections: Vec<CollectionId>,
    /// The filters that a question is limited to; none if to none.
    #[serde(default, deserialize_with = "stored::optional")]
    #[schema(required, value_type = Option<Filter>)]
    pub(crate) filters: Option<Value>,
    /// What was called to find an answer, in order.
    #[serde(default)]
    #[schema(required)]
    pub(crate) tool_calls: Vec<ToolCall>,
    /// The passages that were found for it.
    pub(crate) sources: Vec<Source>,
    /// Where it cites which of them, or passages that were found for an answer before.
    pub(crate) citations: Vec<Citation>,
    #[schema(required)]
    pub(crate) usage: Option<Usage>,
    #[schema(required)]
    pub(crate) model: Option<String>,
    /// None of an answer that is still being made, or whose making broke off.
    #[schema(required)]
    pub(crate) finish_reason: Option<FinishReason>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Author {
    User,
    Assistant,
}

/// Whether all of a message is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MessageStatus)]
pub(crate) enum Status {
    /// It is being made, or its making broke off.
    Partial,
    #[default]
    Complete,
}

/// A call of a tool, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ToolCall {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(deserialize_with = "stored::value")]
    pub(crate) arguments: Value,
    /// The numbers of the passages that it found.
    pub(crate) sources: Vec<usize>,
    /// Why it failed, if it did.
    #[schema(required)]
    pub(crate) error: Option<String>,
}

impl Message {
    /// What a user said.
    pub(crate) fn question(id: MessageId, text: &str, within: &Within, now: OffsetDateTime) -> Self {
        let (content, Within { collections, filters }) = (text.to_owned(), within.clone());
        Self { content, collections, filters, status: Status::Complete, ..Self::empty(id, Author::User, now) }
    }

    /// What a question is limited to.
    pub(crate) fn within(&self) -> Within {
        Within { collections: self.collections.clone(), filters: self.filters.clone() }
    }

    /// The message as it is stored: what is JSON of others as text, since the database has neither all numbers nor all depths
    /// of it.
    pub(super) fn stored(&self) -> Self {
        let text = |json: &Value| Value::String(json.to_string());
        let mut stored = self.clone();
        stored.filters = self.filters.as_ref().map(text);
        for call in &mut stored.tool_calls {
            call.arguments = text(&call.arguments);
        }
        stored
    }

    /// An answer before its first word.
    pub(crate) fn answer(id: MessageId, model: &str, now: OffsetDateTime) -> Self {
        Self { model: Some(model.to_owned()), ..Self::empty(id, Author::Assistant, now) }
    }

    fn empty(id: MessageId, role: Author, created_at: OffsetDateTime) -> Self {
        Self {
            id,
            role,
            status: Status::Partial,
            content: String::new(),
            collections: Vec::new(),
            filters: None,
            tool_calls: Vec::new(),
            sources: Vec::new(),
            citations: Vec::new(),
            usage: None,
            model: None,
            finish_reason: None,
            created_at,
        }
    }

    /// Adds to an answer what a client is told of it, so that it is read back as it was streamed.
    pub(crate) fn add(&mut self, event: &Event) {
        match event {
            Event::Start { .. } | Event::Error(_) => {}
            Event::ToolCall { id, name, arguments } => {
                let (id, name, arguments) = (id.clone(), name.clone(), arguments.clone());
                self.tool_calls.push(ToolCall { id, name, arguments, sources: Vec::new(), error: None });
            }
            Event::ToolResult { id, sources, error } => {
                // A model may use an id twice; results come in the order of the calls.
                let open = self.tool_calls.iter_mut().filter(|call| call.sources.is_empty() && call.error.is_none());
                if let Some(call) = open.into_iter().find(|call| call.id == *id) {
                    call.sources = sources.iter().map(|source| source.n).collect();
                    call.error.clone_from(error);
                }
                let known = |n| move |source: &Source| source.n == n;
                for source in sources {
                    if !self.sources.iter().any(known(source.n)) {
                        self.sources.push(source.clone());
                    }
                }
            }
            Event::Delta { text } => self.content.push_str(text),
            Event::Citation(citation) => self.citations.push(citation.clone()),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Done { finish_reason, .. } => {
                self.finish_reason = Some(*finish_reason);
                if *finish_reason != FinishReason::Error {
                    self.status = Status::Complete;
                }
            }
        }
    }
}

/// JSON that is stored as text, see [`Message::stored`].
mod stored {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde_json::Value;

    pub(super) fn value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        serde_json::from_str(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    pub(super) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(D::Error::custom)
    }
}
