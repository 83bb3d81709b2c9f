//! Conversations, as far as more than chat has to do with them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use time::OffsetDateTime;

use crate::clients::DynamoDb;
use crate::error::Error;
use crate::tables::{self, Key};
use crate::tenancy::{ConversationId, Subject, TenantId};

/// The stored conversations of the tenants.
#[derive(Debug, Clone)]
pub struct Conversations {
    dynamodb: DynamoDb,
}

impl Conversations {
    /// The conversations in this database.
    pub fn new(dynamodb: &DynamoDb) -> Self {
        Self { dynamodb: dynamodb.clone() }
    }

    /// Removes the conversations of a user or of an API key that began before a time.
    pub async fn purge(&self, tenant: &TenantId, subject: Subject<'_>, before: OffsetDateTime) -> Result<(), Error> {
        let partition = || tables::conversations_partition(tenant, subject);
        for chat in self.dynamodb.all(partition(), tables::CHAT).await? {
            if before > conversation_of(&chat)?.made_at() {
                self.delete(chat).await?;
            }
        }
        for conversation in self.dynamodb.all(partition(), tables::CONVERSATION).await? {
            let id = conversation_of(&conversation)?;
            if before > id.made_at() {
                self.remove(tenant, subject, id).await?;
            }
        }
        Ok(())
    }

    /// Removes a conversation and its messages; the conversation last, by which what is left can still be found.
    pub async fn remove(&self, tenant: &TenantId, subject: Subject<'_>, id: ConversationId) -> Result<(), Error> {
        self.dynamodb.delete_all(&self.dynamodb.table, tables::conversation_partition(tenant, id)).await?;
        self.delete(Key::conversation(tenant, subject, id).attributes()).await
    }

    /// Removes an item, by its key or all of it.
    async fn delete(&self, item: HashMap<String, AttributeValue>) -> Result<(), Error> {
        let key = item.into_iter().filter(|(name, _)| name == "pk" || name == "sk").collect();
        self.dynamodb.client.delete_item().table_name(&self.dynamodb.table).set_key(Some(key)).send().await?;
        Ok(())
    }
}

/// The conversation that an item is, or names.
fn conversation_of(item: &HashMap<String, AttributeValue>) -> Result<ConversationId, Error> {
    let id = item.get("id").and_then(|id| id.as_s().ok()).and_then(|id| id.parse().ok());
    id.ok_or_else(|| Error::internal("a conversation without an id"))
}
