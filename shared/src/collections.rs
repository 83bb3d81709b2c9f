//! Collections: named sets of documents, the unit of permission.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Select};
use serde::{Deserialize, Serialize};

use crate::clients::DynamoDb;
use crate::error::Error;
use crate::tables::{self, Key, text};
use crate::tenancy::{CollectionId, TenantId};

/// How many collections a tenant may have: a search asks each of them.
pub const MAX_COLLECTIONS: usize = 50;

/// A collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// Chosen by the client.
    pub id: CollectionId,
    /// For people.
    pub name: String,
    /// Who may read it.
    pub access: Access,
}

/// Who may read a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Everyone of the tenant.
    Tenant,
}

/// The collections of the tenants.
#[derive(Debug, Clone)]
pub struct Collections {
    dynamodb: DynamoDb,
}

impl Collections {
    /// The collections in this database.
    pub fn new(dynamodb: &DynamoDb) -> Self {
        Self { dynamodb: dynamodb.clone() }
    }

    /// All collections of the tenant in the order of their ids. The default one needs no item to exist.
    pub async fn list(&self, tenant: &TenantId) -> Result<Vec<Collection>, Error> {
        let answer = self
            .dynamodb
            .client
            .query()
            .table_name(&self.dynamodb.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(tables::partition(tenant)))
            .expression_attribute_values(":prefix", text(tables::COLLECTION))
            .consistent_read(true)
            .send()
            .await?;
        let items = answer.items.unwrap_or_default();
        let mut collections: Vec<Collection> = serde_dynamo::aws_sdk_dynamodb_1::from_items(items)?;
        let default = CollectionId::default_collection();
        if collections.iter().all(|collection| collection.id != default) {
            collections.push(Collection { name: default.to_string(), id: default, access: Access::Tenant });
            collections.sort_by(|a, b| a.id.cmp(&b.id));
        }
        Ok(collections)
    }

    /// Whether the tenant has the collection.
    pub async fn exists(&self, tenant: &TenantId, id: &CollectionId) -> Result<bool, Error> {
        Ok(*id == CollectionId::default_collection() || self.dynamodb.get(Key::collection(tenant, id)).await?.is_some())
    }

    /// Makes or renames a collection.
    pub async fn put(&self, tenant: &TenantId, collection: &Collection) -> Result<(), Error> {
        let mut item: HashMap<_, AttributeValue> = serde_dynamo::aws_sdk_dynamodb_1::to_item(collection)?;
        item.extend(Key::collection(tenant, &collection.id).attributes());
        self.dynamodb.client.put_item().table_name(&self.dynamodb.table).set_item(Some(item)).send().await?;
        Ok(())
    }

    /// How many documents the collection has.
    pub async fn count_documents(&self, tenant: &TenantId, id: &CollectionId) -> Result<u64, Error> {
        let mut count = 0;
        let mut start = None;
        loop {
            let answer = self
                .dynamodb
                .client
                .query()
                .table_name(&self.dynamodb.table)
                .index_name(tables::BY_COLLECTION)
                .select(Select::Count)
                .key_condition_expression("collection_key = :pk")
                .expression_attribute_values(":pk", text(tables::collection_partition(tenant, id)))
                .set_exclusive_start_key(start)
                .send()
                .await?;
            count += u64::from(answer.count.unsigned_abs());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
    }
}
