use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Secret;
use crate::audit;
use crate::clients::DynamoDb;
use crate::error::Error;
use crate::tables::{self, Key};
use crate::tenancy::{KeyId, KeyLimits, TenantId, UserId};

/// How many API keys a tenant may have.
pub const MAX_KEYS: usize = 200;

/// An API key as its tenant keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Names the key.
    pub id: KeyId,
    /// For people.
    pub name: String,
    /// What it is limited to, beside what its maker may do.
    #[serde(flatten)]
    pub limits: KeyLimits,
    /// Who made it.
    pub created_by: UserId,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it ends; never if there is no such time. Stored in seconds, as the table's time to live.
    #[serde(default, with = "time::serde::timestamp::option", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was used, give or take five minutes.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<OffsetDateTime>,
    /// The SHA-256 of its text.
    pub sha256: String,
}

/// The API keys of the tenants.
#[derive(Debug, Clone)]
pub struct Keys {
    dynamodb: DynamoDb,
}

impl Keys {
    /// The API keys in this database.
    pub fn new(dynamodb: &DynamoDb) -> Self {
        Self { dynamodb: dynamodb.clone() }
    }

    /// Keeps a new key.
    pub async fn create(&self, tenant: &TenantId, key: &ApiKey, entry: &audit::Entry) -> Result<(), Error> {
        let mut item: HashMap<_, _> = serde_dynamo::aws_sdk_dynamodb_1::to_item(key)?;
        item.extend(Key::api_key(tenant, key.id).attributes());
        let owner = super::ring::Owner {
            tenant: tenant.clone(),
            user: key.created_by.clone(),
            id: key.id,
            sha256: key.sha256.clone(),
            expires_at: key.expires_at,
        };
        let mut owned: HashMap<_, _> = serde_dynamo::aws_sdk_dynamodb_1::to_item(owner)?;
        owned.extend(Key::api_key_owner(&key.sha256).attributes());
        let writes = vec![self.put(item)?, self.put(owned)?, entry.write(&self.dynamodb, tenant)?];
        self.dynamodb.transact(writes).await?.map_err(|_| Error::internal("a new key is stored already"))
    }

    /// The key; [`Error::NotFound`] if the tenant has none by this id.
    pub async fn get(&self, tenant: &TenantId, id: KeyId) -> Result<ApiKey, Error> {
        from_item(self.dynamodb.get(Key::api_key(tenant, id)).await?.ok_or(Error::NotFound)?)
    }

    /// All keys of the tenant, oldest first: they are few.
    pub async fn list(&self, tenant: &TenantId) -> Result<Vec<ApiKey>, Error> {
        let items = self.dynamodb.all(tables::partition(tenant), tables::API_KEY).await?;
        items.into_iter().map(from_item).collect()
    }

    /// Removes a key: nobody comes in by it any more. With an entry for the trail if somebody wished it.
    pub async fn revoke(&self, tenant: &TenantId, key: &ApiKey, entry: Option<&audit::Entry>) -> Result<(), Error> {
        let mut writes =
            vec![self.delete(Key::api_key(tenant, key.id))?, self.delete(Key::api_key_owner(&key.sha256))?];
        if let Some(entry) = entry {
            writes.push(entry.write(&self.dynamodb, tenant)?);
        }
        self.dynamodb.transact(writes).await?.map_err(|_| Error::internal("a key was not removed"))
    }

    /// Notes that a key is used.
    pub async fn used(&self, tenant: &TenantId, id: KeyId, now: OffsetDateTime) -> Result<(), Error> {
        self.dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::api_key(tenant, id).attributes()))
            .update_expression("SET last_used_at = :now")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":now", tables::time(now)?)
            .send()
            .await?;
        Ok(())
    }

    fn put(&self, item: HashMap<String, AttributeValue>) -> Result<TransactWriteItem, Error> {
        let put = Put::builder()
            .table_name(&self.dynamodb.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)");
        Ok(TransactWriteItem::builder().put(put.build().map_err(Error::internal)?).build())
    }

    fn delete(&self, key: Key) -> Result<TransactWriteItem, Error> {
        let delete = Delete::builder().table_name(&self.dynamodb.table).set_key(Some(key.attributes()));
        Ok(TransactWriteItem::builder().delete(delete.build().map_err(Error::internal)?).build())
    }
}

impl ApiKey {
    /// A key that nobody has yet, of this text.
    pub fn new(
        secret: &Secret,
        name: String,
        limits: KeyLimits,
        created_by: UserId,
        expires_at: Option<OffsetDateTime>,
    ) -> Self {
        let created_at = OffsetDateTime::now_utc();
        let (id, sha256) = (KeyId::new(), secret.sha256());
        Self { id, name, limits, created_by, created_at, expires_at, last_used_at: None, sha256 }
    }
}

/// The key in an item.
pub(crate) fn from_item(item: HashMap<String, AttributeValue>) -> Result<ApiKey, Error> {
    Ok(serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?)
}
