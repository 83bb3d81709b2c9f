//! The audit trail: one entry for each administrative change, written in the same transaction.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::clients::DynamoDb;
use crate::error::Error;
use crate::page::List;
use crate::tables::{self, Key};
use crate::tenancy::{AuditId, KeyId, Principal, TenantId, UserId};

/// What was changed, when, and by whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct Entry {
    /// Sorts by time.
    pub id: AuditId,
    /// When it was changed.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Who changed it.
    pub actor: Actor,
    /// What was done.
    pub action: Action,
    /// The id of what was changed.
    pub target: String,
    /// What it is since then, as far as it was changed; no secrets.
    pub detail: Value,
}

/// Who changed something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditActor)]
pub struct Actor {
    /// The tenant of the actor: another one if an operator of the platform did it.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// The API key that was used, if one was.
    #[schema(required)]
    pub key: Option<KeyId>,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditAction)]
pub enum Action {
    /// A user was invited, or was given another role or other collections.
    #[serde(rename = "user.put")]
    PutUser,
    /// A user was removed.
    #[serde(rename = "user.removed")]
    RemoveUser,
    /// An API key was made.
    #[serde(rename = "key.created")]
    CreateKey,
    /// An API key was revoked.
    #[serde(rename = "key.revoked")]
    RevokeKey,
    /// A collection was made or described anew.
    #[serde(rename = "collection.put")]
    PutCollection,
    /// A collection was deleted with all its documents.
    #[serde(rename = "collection.deleted")]
    DeleteCollection,
    /// The tenant was given another name, plan or other limits.
    #[serde(rename = "tenant.put")]
    PutTenant,
    /// A webhook was made or described anew.
    #[serde(rename = "webhook.put")]
    PutWebhook,
    /// A webhook was deleted.
    #[serde(rename = "webhook.deleted")]
    DeleteWebhook,
}

impl Entry {
    /// An entry of now.
    pub fn new(principal: &Principal, action: Action, target: &impl ToString, detail: Value) -> Self {
        let actor = Actor { tenant: principal.tenant.clone(), user: principal.user.clone(), key: principal.key };
        let (id, at) = (AuditId::new(), OffsetDateTime::now_utc());
        Self { id, at, actor, action, target: target.to_string(), detail }
    }

    /// The part of a transaction that enters it into a tenant's trail.
    pub(crate) fn write(&self, dynamodb: &DynamoDb, tenant: &TenantId) -> Result<TransactWriteItem, Error> {
        let mut item: std::collections::HashMap<_, _> = serde_dynamo::aws_sdk_dynamodb_1::to_item(self)?;
        item.extend(Key::audit(tenant, self.id).attributes());
        let put = Put::builder().table_name(&dynamodb.table).set_item(Some(item)).build().map_err(Error::internal)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

/// The audit trail of a tenant, newest first, for [`crate::page::Pages`].
pub fn trail(tenant: &TenantId) -> List<Entry> {
    List::new(tables::partition(tenant), tables::AUDIT).newest_first()
}
