use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;
use time::OffsetDateTime;

use super::model::{Document, Status};
use crate::clients::DynamoDb;
use crate::error::Error;
use crate::page::List;
use crate::tables::{self, Key, text};
use crate::tenancy::{CollectionId, DocumentId, TenantId};

/// `BatchGetItem` takes this many keys.
const BATCH_GET: usize = 100;
/// Attempts at a change while others change the document in transactions.
const CONFLICT_ROUNDS: u32 = 5;

/// The documents of the tenants. Each way to an item takes the tenant.
#[derive(Debug, Clone)]
pub struct Documents {
    pub(super) dynamodb: DynamoDb,
}

/// Which documents a list shows.
#[derive(Debug, Clone, Default)]
pub struct DocumentFilter {
    /// Only those of this collection.
    pub collection: Option<CollectionId>,
    /// Only those with this status.
    pub status: Option<Status>,
    /// Only those of these collections.
    pub within: Option<Vec<CollectionId>>,
}

impl DocumentFilter {
    /// Those of a tenant that it lets through, newest first.
    pub fn list(&self, tenant: &TenantId) -> List<Document> {
        let mut list = List::new(tables::partition(tenant), tables::DOCUMENT).newest_first();
        if let Some(collection) = &self.collection {
            let partition = tables::collection_partition(tenant, collection);
            list = list.by_index(tables::BY_COLLECTION, tables::COLLECTION_KEY, partition);
        }
        if let Some(status) = self.status {
            list = list.only("status", [status.as_str().to_owned()]);
        }
        if let Some(within) = &self.within {
            list = list.only("collection", within.iter().map(ToString::to_string));
        }
        list
    }
}

impl Documents {
    /// The documents in this database.
    pub fn new(dynamodb: &DynamoDb) -> Self {
        Self { dynamodb: dynamodb.clone() }
    }

    /// The document, if the tenant has it.
    pub async fn find(&self, tenant: &TenantId, id: DocumentId) -> Result<Option<Document>, Error> {
        let item = self.dynamodb.get(Key::document(tenant, id)).await?;
        item.map(|item| serde_dynamo::aws_sdk_dynamodb_1::from_item(item).map_err(Error::from)).transpose()
    }

    /// The document; [`Error::NotFound`] if the tenant has none by this id.
    pub async fn get(&self, tenant: &TenantId, id: DocumentId) -> Result<Document, Error> {
        self.find(tenant, id).await?.ok_or(Error::NotFound)
    }

    /// Those of the documents that exist, by their ids.
    pub async fn get_many(
        &self,
        tenant: &TenantId,
        ids: impl IntoIterator<Item = DocumentId>,
    ) -> Result<HashMap<DocumentId, Document>, Error> {
        let mut ids: Vec<_> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let batches = try_join_all(ids.chunks(BATCH_GET).map(|batch| self.get_batch(tenant, batch))).await?;
        Ok(batches.into_iter().flatten().map(|document| (document.id, document)).collect())
    }

    async fn get_batch(&self, tenant: &TenantId, ids: &[DocumentId]) -> Result<Vec<Document>, Error> {
        let keys = ids.iter().map(|id| Key::document(tenant, *id)).collect();
        Ok(serde_dynamo::aws_sdk_dynamodb_1::from_items(self.dynamodb.get_batch(keys).await?)?)
    }

    /// The ids of documents of a collection, at most so many, by the latest state: an index would lag.
    pub async fn ids_in(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        most: usize,
    ) -> Result<Vec<DocumentId>, Error> {
        let (mut ids, mut start) = (Vec::new(), None);
        loop {
            let answer = self
                .dynamodb
                .client
                .query()
                .table_name(&self.dynamodb.table)
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .filter_expression("#collection = :collection")
                .projection_expression("id")
                .expression_attribute_names("#collection", "collection")
                .expression_attribute_values(":pk", text(tables::partition(tenant)))
                .expression_attribute_values(":prefix", text(tables::DOCUMENT))
                .expression_attribute_values(":collection", text(collection.as_str()))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await?;
            let found = answer.items.unwrap_or_default();
            ids.extend(found.iter().filter_map(|item| item.get("id")?.as_s().ok()?.parse::<DocumentId>().ok()));
            start = answer.last_evaluated_key;
            if start.is_none() || ids.len() >= most {
                ids.truncate(most);
                return Ok(ids);
            }
        }
    }

    fn update(&self, tenant: &TenantId, id: DocumentId, now: OffsetDateTime) -> Result<UpdateItemFluentBuilder, Error> {
        Ok(self
            .dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::document(tenant, id).attributes()))
            .expression_attribute_values(":now", tables::time(now)?)
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllNew))
    }

    /// A change of one version, once a condition on `:version` is added.
    pub(super) fn of_version(
        &self,
        tenant: &TenantId,
        id: DocumentId,
        version: u32,
        now: OffsetDateTime,
    ) -> Result<UpdateItemFluentBuilder, Error> {
        let update = self.update(tenant, id, now)?;
        Ok(update.expression_attribute_values(":version", AttributeValue::N(version.to_string())))
    }

    /// Sends a conditional change; `None` if its condition does not hold. A transaction with the same item, of which there are
    /// many, is over in milliseconds, but the SDK does not wait for it.
    pub(super) async fn apply(&self, request: UpdateItemFluentBuilder) -> Result<Option<Document>, Error> {
        for round in 0..CONFLICT_ROUNDS {
            match request.clone().send().await {
                Ok(answer) => {
                    let item = answer.attributes.ok_or_else(|| Error::internal("UpdateItem returned no item"))?;
                    return Ok(Some(serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?));
                }
                Err(SdkError::ServiceError(service)) => match service.err() {
                    UpdateItemError::ConditionalCheckFailedException(_) => return Ok(None),
                    UpdateItemError::TransactionConflictException(_) => {}
                    _ => return Err(SdkError::ServiceError(service).into()),
                },
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(Duration::from_millis(20 << round)).await;
        }
        Err(Error::unavailable("transactions with a document were in the way"))
    }
}
