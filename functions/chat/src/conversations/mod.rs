//! What was said, kept for the user who said it.

mod chats;
mod entry;
mod message;

use aws_sdk_dynamodb::error::SdkError;
use serde::{Deserialize, Serialize};
use shared::clients::DynamoDb;
use shared::error::Error;
use shared::page::{Limit, List, Page, Pages};
use shared::tables::{self, Key};
use shared::tenancy::{ConversationId, Principal, TenantId};
use time::OffsetDateTime;
use utoipa::ToSchema;

pub(crate) use chats::{ChatId, Known, Place};
pub(crate) use entry::{Change, Entered};
pub(crate) use message::{Author, Message};

/// The longest title that is made of a question, in characters.
const TITLE: usize = 80;

/// A conversation of one user.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Conversation {
    pub(crate) id: ConversationId,
    /// The beginning of its first question, unless it was given another.
    pub(crate) title: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
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

    /// The conversation; [`Error::NotFound`] if this user has none by this id.
    pub(crate) async fn get(&self, principal: &Principal, id: ConversationId) -> Result<Conversation, Error> {
        let item = self.dynamodb.get(Key::conversation(&principal.tenant, principal.subject(), id)).await?;
        Ok(serde_dynamo::aws_sdk_dynamodb_1::from_item(item.ok_or(Error::NotFound)?)?)
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

    /// Gives a conversation of the user another title.
    pub(crate) async fn rename(
        &self,
        principal: &Principal,
        id: ConversationId,
        title: &str,
    ) -> Result<Conversation, Error> {
        let changed = self
            .dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::conversation(&principal.tenant, principal.subject(), id).attributes()))
            .update_expression("SET title = :title")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":title", tables::text(title))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllNew)
            .send()
            .await;
        match changed {
            Ok(answer) => Ok(serde_dynamo::aws_sdk_dynamodb_1::from_item(answer.attributes.unwrap_or_default())?),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Err(Error::NotFound)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Stores how far an answer is. False if it is not there any more: its conversation was deleted, or another answer took its
    /// place; nothing is stored then.
    pub(crate) async fn update(
        &self,
        tenant: &TenantId,
        conversation: ConversationId,
        answer: &Message,
        highest: usize,
    ) -> Result<bool, Error> {
        let put = self
            .dynamodb
            .client
            .put_item()
            .table_name(&self.dynamodb.table)
            .set_item(Some(entry::item(tenant, conversation, answer, highest)?))
            .condition_expression("attribute_exists(pk)")
            .send()
            .await;
        match put {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a conversation of the user with its messages.
    pub(crate) async fn delete(&self, principal: &Principal, id: ConversationId) -> Result<(), Error> {
        shared::conversations::Conversations::new(&self.dynamodb)
            .remove(&principal.tenant, principal.subject(), id)
            .await?;
        // What was asked meanwhile; from now on nobody can.
        let partition = tables::conversation_partition(&principal.tenant, id);
        self.dynamodb.delete_all(&self.dynamodb.table, partition).await
    }
}
