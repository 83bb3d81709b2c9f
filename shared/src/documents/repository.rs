use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::builders::{DeleteBuilder, PutBuilder};
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use futures::future::try_join_all;
use time::OffsetDateTime;

use super::model::{Document, Failure, Metadata, Stage, StageName, Status};
use crate::clients::DynamoDb;
use crate::error::Error;
use crate::page::List;
use crate::tables::{self, Key, text};
use crate::tenancy::{CollectionId, DocumentId, TenantId};

/// `BatchGetItem` takes this many keys.
const BATCH_GET: usize = 100;

/// The documents of the tenants. Each way to an item takes the tenant.
#[derive(Debug, Clone)]
pub struct Documents {
    dynamodb: DynamoDb,
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

/// What became of a new document.
#[derive(Debug)]
pub enum Created {
    /// It is stored.
    New,
    /// The same bytes are in the collection already, in this document.
    Duplicate(DocumentId),
}

impl Documents {
    /// The documents in this database.
    pub fn new(dynamodb: &DynamoDb) -> Self {
        Self { dynamodb: dynamodb.clone() }
    }

    /// Stores a new document and the mark of its bytes together, unless the bytes are in the collection already.
    pub async fn create(&self, tenant: &TenantId, document: &Document) -> Result<Created, Error> {
        let mut item: HashMap<_, _> = serde_dynamo::aws_sdk_dynamodb_1::to_item(document)?;
        item.extend(Key::document(tenant, document.id).attributes());
        let collection_key = tables::collection_partition(tenant, &document.collection);
        item.insert(tables::COLLECTION_KEY.to_owned(), text(collection_key));

        let hash_key = Key::content_hash(tenant, &document.collection, &document.sha256);
        let mut mark = hash_key.clone().attributes();
        mark.insert("document_id".to_owned(), text(document.id.to_string()));

        let put = |item| self.put_new(item);
        let request = self.dynamodb.client.transact_write_items().transact_items(put(item)?).transact_items(put(mark)?);
        match request.send().await {
            Ok(_) => Ok(Created::New),
            Err(SdkError::ServiceError(service)) if service.err().is_transaction_canceled_exception() => {
                let mark = self.dynamodb.get(hash_key).await?;
                match mark.as_ref().and_then(|mark| mark.get("document_id")?.as_s().ok()?.parse().ok()) {
                    Some(id) => Ok(Created::Duplicate(id)),
                    // Cancelled by something else, such as a concurrent write that came to nothing.
                    None => Err(Error::unavailable("the document could not be stored beside another write")),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    fn put_new(&self, item: HashMap<String, AttributeValue>) -> Result<TransactWriteItem, Error> {
        let put: PutBuilder = Put::builder()
            .table_name(&self.dynamodb.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)");
        Ok(TransactWriteItem::builder().put(put.build().map_err(Error::internal)?).build())
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

    /// Changes the name or the metadata.
    pub async fn describe(
        &self,
        tenant: &TenantId,
        id: DocumentId,
        filename: Option<String>,
        metadata: Option<Metadata>,
        now: OffsetDateTime,
    ) -> Result<Document, Error> {
        let mut expression = "SET updated_at = :now".to_owned();
        let mut request = self.update(tenant, id, now)?;
        if let Some(filename) = filename {
            expression.push_str(", filename = :filename");
            request = request.expression_attribute_values(":filename", text(filename));
        }
        if let Some(metadata) = metadata {
            expression.push_str(", metadata = :metadata");
            let value = serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(metadata)?;
            request = request.expression_attribute_values(":metadata", value);
        }
        let request = request.update_expression(expression).condition_expression("attribute_exists(pk)");
        self.apply(request).await?.ok_or(Error::NotFound)
    }

    /// The bytes are stored: the document waits for a worker, unless one was faster.
    pub async fn queued(&self, tenant: &TenantId, id: DocumentId, now: OffsetDateTime) -> Result<Document, Error> {
        let request = self
            .update(tenant, id, now)?
            .update_expression("SET updated_at = :now, #status = :queued REMOVE #error")
            .condition_expression("attribute_exists(pk) AND #status IN (:awaiting_upload, :failed)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#error", "error")
            .expression_attribute_values(":queued", text(Status::Queued.as_str()))
            .expression_attribute_values(":awaiting_upload", text(Status::AwaitingUpload.as_str()))
            .expression_attribute_values(":failed", text(Status::Failed.as_str()));
        match self.apply(request).await? {
            Some(document) => Ok(document),
            None => self.get(tenant, id).await,
        }
    }

    /// A worker began a stage. `None` if the version is no longer to be worked on: deleted, replaced or ready.
    pub async fn begin_stage(
        &self,
        tenant: &TenantId,
        document: &Document,
        stage: StageName,
        now: OffsetDateTime,
    ) -> Result<Option<Document>, Error> {
        let mut stages = ended(&document.stages, now);
        if stage == StageName::Extracting {
            stages.clear();
        }
        stages.push(Stage { name: stage, started_at: now, ended_at: None });
        let request = self
            .progress(tenant, document, stage.status(), &stages, now)?
            .update_expression("SET updated_at = :now, #status = :status, stages = :stages REMOVE #error")
            .expression_attribute_names("#error", "error");
        self.apply(request).await
    }

    /// All passages are written: the version becomes visible by this one write, which also says what it cost in tokens.
    pub async fn ready(
        &self,
        tenant: &TenantId,
        document: &Document,
        chunk_count: u32,
        embedded_tokens: usize,
        now: OffsetDateTime,
    ) -> Result<Option<Document>, Error> {
        let request = self
            .progress(tenant, document, Status::Ready, &ended(&document.stages, now), now)?
            .update_expression(
                "SET updated_at = :now, #status = :status, stages = :stages, served_version = :version, \
                 chunk_count = :chunk_count REMOVE #error ADD embedded_tokens :embedded_tokens",
            )
            .expression_attribute_names("#error", "error")
            .expression_attribute_values(":embedded_tokens", AttributeValue::N(embedded_tokens.to_string()))
            .expression_attribute_values(":chunk_count", AttributeValue::N(chunk_count.to_string()));
        self.apply(request).await
    }

    /// The version cannot be used.
    pub async fn failed(
        &self,
        tenant: &TenantId,
        document: &Document,
        failure: &Failure,
        now: OffsetDateTime,
    ) -> Result<Option<Document>, Error> {
        let request = self
            .progress(tenant, document, Status::Failed, &ended(&document.stages, now), now)?
            .update_expression("SET updated_at = :now, #status = :status, stages = :stages, #error = :error")
            .expression_attribute_names("#error", "error")
            .expression_attribute_values(":error", serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(failure)?);
        self.apply(request).await
    }

    /// Removes the document and the mark of its bytes together. Searches check the document, so from here on no answer
    /// uses it, whatever is left of its passages.
    pub async fn delete(&self, tenant: &TenantId, document: &Document) -> Result<(), Error> {
        let delete = |key: Key| Delete::builder().table_name(&self.dynamodb.table).set_key(Some(key.attributes()));
        let part = |delete: DeleteBuilder| {
            Ok::<_, Error>(TransactWriteItem::builder().delete(delete.build().map_err(Error::internal)?).build())
        };
        let own = part(delete(Key::document(tenant, document.id)))?;
        // If somebody deleted it before, the same bytes may be another document by now.
        let mark = delete(Key::content_hash(tenant, &document.collection, &document.sha256))
            .condition_expression("attribute_not_exists(pk) OR document_id = :id")
            .expression_attribute_values(":id", text(document.id.to_string()));
        match self.dynamodb.transact(vec![own.clone(), part(mark)?]).await? {
            Ok(()) => Ok(()),
            Err(_) => {
                self.dynamodb.transact(vec![own]).await?.map_err(|_| Error::internal("a document was not deleted"))
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

    /// A worker's change, allowed only while its version is the newest and not yet ready.
    fn progress(
        &self,
        tenant: &TenantId,
        document: &Document,
        status: Status,
        stages: &[Stage],
        now: OffsetDateTime,
    ) -> Result<UpdateItemFluentBuilder, Error> {
        Ok(self
            .update(tenant, document.id, now)?
            .condition_expression("attribute_exists(pk) AND version = :version AND #status <> :ready")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", text(status.as_str()))
            .expression_attribute_values(":ready", text(Status::Ready.as_str()))
            .expression_attribute_values(":version", AttributeValue::N(document.version.to_string()))
            .expression_attribute_values(":stages", serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(stages)?))
    }

    /// Sends a conditional change; `None` if its condition does not hold.
    async fn apply(&self, request: UpdateItemFluentBuilder) -> Result<Option<Document>, Error> {
        match request.send().await {
            Ok(answer) => {
                let item = answer.attributes.ok_or_else(|| Error::internal("UpdateItem returned no item"))?;
                Ok(Some(serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?))
            }
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The stages with the running one ended.
fn ended(stages: &[Stage], now: OffsetDateTime) -> Vec<Stage> {
    stages.iter().map(|stage| Stage { ended_at: stage.ended_at.or(Some(now)), ..stage.clone() }).collect()
}
