//! What was said, kept for the user who said it.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use shared::clients::DynamoDb;
use shared::error::Error;
use shared::page::{Limit, List, Page, Pages};
use shared::tables::{self, Key};
use shared::tenancy::{ConversationId, MessageId, Principal};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::event::{Citation, FinishReason, Source, Usage};

/// The longest title, in characters.
const MAX_TITLE: usize = 80;

/// A conversation of one user.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Conversation {
    pub(crate) id: ConversationId,
    /// The beginning of its first question.
    pub(crate) title: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
}

/// A question or an answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    pub(crate) role: Author,
    pub(crate) content: String,
    /// The passages that were found for it.
    pub(crate) sources: Vec<Source>,
    /// Those that it cites.
    pub(crate) citations: Vec<Citation>,
    #[schema(required)]
    pub(crate) usage: Option<Usage>,
    #[schema(required)]
    pub(crate) model: Option<String>,
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

/// The conversations of the users.
#[derive(Debug, Clone)]
pub struct Conversations {
    dynamodb: DynamoDb,
    pages: Pages,
}

impl Conversations {
    /// The conversations in this database.
    pub fn new(dynamodb: &DynamoDb, pages: &Pages) -> Self {
        Self { dynamodb: dynamodb.clone(), pages: pages.clone() }
    }

    /// A new conversation, titled by its first question.
    pub(crate) async fn begin(
        &self,
        principal: &Principal,
        question: &str,
        now: OffsetDateTime,
    ) -> Result<Conversation, Error> {
        let line = question.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut title: String = line.chars().take(MAX_TITLE).collect();
        if title.len() < line.len() {
            title.push('…');
        }
        let conversation = Conversation { id: ConversationId::new(), title, created_at: now };
        let item = serde_dynamo::aws_sdk_dynamodb_1::to_item(&conversation)?;
        self.put(item, Key::conversation(&principal.tenant, principal.subject(), conversation.id)).await?;
        Ok(conversation)
    }

    /// The conversation; [`Error::NotFound`] if this user has none by this id.
    pub(crate) async fn get(&self, principal: &Principal, id: ConversationId) -> Result<Conversation, Error> {
        let item = self.dynamodb.get(Key::conversation(&principal.tenant, principal.subject(), id)).await?;
        Ok(serde_dynamo::aws_sdk_dynamodb_1::from_item(item.ok_or(Error::NotFound)?)?)
    }

    /// Adds a message to a conversation that is the user's.
    pub(crate) async fn add(
        &self,
        principal: &Principal,
        conversation: ConversationId,
        message: &Message,
    ) -> Result<(), Error> {
        let item = serde_dynamo::aws_sdk_dynamodb_1::to_item(message)?;
        self.put(item, Key::message(&principal.tenant, conversation, message.id)).await
    }

    async fn put(&self, mut item: HashMap<String, AttributeValue>, key: Key) -> Result<(), Error> {
        item.extend(key.attributes());
        self.dynamodb.client.put_item().table_name(&self.dynamodb.table).set_item(Some(item)).send().await?;
        Ok(())
    }

    /// The user's conversations, newest first.
    pub(crate) async fn list(
        &self,
        principal: &Principal,
        limit: Limit,
        cursor: Option<&str>,
    ) -> Result<Page<Conversation>, Error> {
        let partition = tables::conversations_partition(&principal.tenant, principal.subject());
        self.pages.read(&List::new(partition, tables::CONVERSATION).newest_first(), limit, cursor).await
    }

    /// The messages of a conversation that is the user's, oldest first.
    pub(crate) async fn messages(
        &self,
        principal: &Principal,
        conversation: ConversationId,
        limit: Limit,
        cursor: Option<&str>,
    ) -> Result<Page<Message>, Error> {
        let partition = tables::conversation_partition(&principal.tenant, conversation);
        self.pages.read(&List::new(partition, tables::MESSAGE), limit, cursor).await
    }

    /// Removes a conversation of the user, its messages last: without it they cannot be reached.
    pub(crate) async fn delete(&self, principal: &Principal, id: ConversationId) -> Result<(), Error> {
        let key = Key::conversation(&principal.tenant, principal.subject(), id);
        self.remove(key).await?;
        let mut cursor = None;
        loop {
            let page = self.messages(principal, id, Limit::MAX, cursor.as_deref()).await?;
            for message in page.data {
                self.remove(Key::message(&principal.tenant, id, message.id)).await?;
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    async fn remove(&self, key: Key) -> Result<(), Error> {
        let keys = Some(key.attributes());
        self.dynamodb.client.delete_item().table_name(&self.dynamodb.table).set_key(keys).send().await?;
        Ok(())
    }
}
