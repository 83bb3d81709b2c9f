//! Conversations by the ids that applications give to their chats.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use shared::error::Error;
use shared::tables::{Key, text};
use shared::tenancy::{ConversationId, MessageId, Principal};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::Conversations;

/// The longest id of a chat, in characters.
const LONGEST: usize = 256;

/// The id of a chat, as an application chose it: any text that is not too long. It means nothing but for one caller.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ChatId(String);

/// Where in a conversation a question belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind all that was said.
    Next,
    /// Right behind this answer, or at the beginning. What was said there since gives way, if it is the last question.
    After(Option<MessageId>),
}

impl ChatId {
    /// What stands for it in a key.
    fn hash(&self) -> String {
        hex::encode(Sha256::digest(&self.0))
    }

    fn key(&self, principal: &Principal) -> Key {
        Key::chat(&principal.tenant, principal.subject(), &self.hash())
    }
}

impl TryFrom<String> for ChatId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=LONGEST).contains(&text.chars().count());
        if fits { Ok(Self(text)) } else { Err("must have 1 to 256 characters") }
    }
}

impl std::str::FromStr for ChatId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl ToSchema for ChatId {}

impl PartialSchema for ChatId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(LONGEST)).build().into()
    }
}

/// What is known of the conversation of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing: it has not begun.
    Nothing,
    /// It was this one, which was deleted.
    Gone(ConversationId),
    /// It is this one.
    There(ConversationId),
}

impl Conversations {
    /// The conversation of the caller's chat. The id of a conversation of theirs is that conversation.
    pub(crate) async fn of_chat(&self, principal: &Principal, chat: &ChatId) -> Result<Known, Error> {
        if let Ok(id) = chat.0.parse()
            && self.has(principal, id).await?
        {
            return Ok(Known::There(id));
        }
        let Some(item) = self.dynamodb.get(chat.key(principal)).await? else { return Ok(Known::Nothing) };
        let id = item.get("id").and_then(|id| id.as_s().ok()?.parse().ok());
        let id = id.ok_or_else(|| Error::internal("a chat without a conversation"))?;
        Ok(if self.has(principal, id).await? { Known::There(id) } else { Known::Gone(id) })
    }

    async fn has(&self, principal: &Principal, id: ConversationId) -> Result<bool, Error> {
        match self.get(principal, id).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes a conversation that of a chat, as long as no more is known of it than was.
    pub(super) fn enter_chat(
        &self,
        principal: &Principal,
        chat: &ChatId,
        known: Known,
        id: ConversationId,
    ) -> Result<TransactWriteItem, Error> {
        let mut item: HashMap<_, AttributeValue> = chat.key(principal).attributes();
        item.insert("id".to_owned(), text(id.to_string()));
        let put = Put::builder().table_name(&self.dynamodb.table).set_item(Some(item));
        let put = match known {
            Known::Nothing => put.condition_expression("attribute_not_exists(pk)"),
            Known::Gone(before) | Known::There(before) => put
                .condition_expression("id = :before")
                .expression_attribute_values(":before", text(before.to_string())),
        };
        Ok(TransactWriteItem::builder().put(put.build().map_err(Error::internal)?).build())
    }
}
