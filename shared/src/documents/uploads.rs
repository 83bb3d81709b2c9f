//! How bytes come to documents: entered before they are there, and given up if they never come.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use time::OffsetDateTime;

use super::marks::{self, Holder};
use super::model::{Document, ErrorCode, Failure, Metadata, Status};
use super::repository::Documents;
use crate::error::Error;
use crate::tables::{self, Key, text};
use crate::telemetry::Traceparent;
use crate::tenancy::{CollectionId, DocumentId, TenantId};

/// Attempts at replacing a document that others change at the same time.
const ROUNDS: usize = 5;

/// What became of a new document.
#[derive(Debug)]
pub enum Created {
    /// It is stored.
    New,
    /// The same bytes are in the collection already, in this document.
    Duplicate(DocumentId),
}

/// What became of new bytes for a document.
#[derive(Debug)]
pub enum Replaced {
    /// They are its next version.
    New(Box<Document>),
    /// They are its newest bytes already.
    Same(Box<Document>),
    /// They are those of this other document of the collection.
    Elsewhere(DocumentId),
    /// The document is not in the collection, or gone.
    Gone,
}

/// Bytes that are announced for a document.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The name of the file.
    pub filename: String,
    /// The type the client gave.
    pub content_type: String,
    /// How many they are.
    pub size_bytes: u64,
    /// Their SHA-256 in hexadecimal, if it is known.
    pub sha256: Option<String>,
    /// What the client keeps beside the document; none to keep what is there.
    pub metadata: Option<Metadata>,
    /// When they are not awaited any more.
    pub expires_at: OffsetDateTime,
}

impl Documents {
    /// Stores a new document and the mark of its bytes together, unless the bytes are in the collection already. Its bytes are
    /// awaited until `expires_at`.
    pub async fn create(
        &self,
        tenant: &TenantId,
        document: &Document,
        expires_at: OffsetDateTime,
    ) -> Result<Created, Error> {
        let mut item: HashMap<_, _> = serde_dynamo::aws_sdk_dynamodb_1::to_item(document)?;
        item.extend(Key::document(tenant, document.id).attributes());
        let collection_key = tables::collection_partition(tenant, &document.collection);
        item.insert(tables::COLLECTION_KEY.to_owned(), text(collection_key));
        item.insert("upload_expires_at".to_owned(), seconds(expires_at));
        if let Some(trace) = &document.trace {
            item.insert("traceparent".to_owned(), text(trace.to_string()));
        }
        let put = Put::builder()
            .table_name(&self.dynamodb.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)");
        let mut writes = vec![TransactWriteItem::builder().put(put.build().map_err(Error::internal)?).build()];
        let (collection, sha256) = (&document.collection, document.sha256.as_deref());
        if let Some(sha256) = sha256 {
            writes.push(marks::put(&self.dynamodb, tenant, collection, sha256, document.id)?);
        }
        match (self.dynamodb.transact(writes).await?, sha256) {
            (Ok(()), _) => Ok(Created::New),
            (Err(1), Some(sha256)) => match marks::holder(&self.dynamodb, tenant, collection, sha256).await? {
                Some(id) => Ok(Created::Duplicate(id)),
                None => Err(Error::unavailable("the same bytes were deleted meanwhile")),
            },
            (Err(_), _) => Err(Error::internal("a new document has an id that is in use")),
        }
    }

    /// Announces new bytes for a document of a collection: its next version, while the one that it serves stays.
    pub async fn replace(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        id: DocumentId,
        incoming: &Incoming,
        now: OffsetDateTime,
    ) -> Result<Replaced, Error> {
        for _ in 0..ROUNDS {
            let Some(item) = self.dynamodb.get(Key::document(tenant, id)).await? else { return Ok(Replaced::Gone) };
            let holder = Holder::from_item(item.clone())?;
            if holder.collection != *collection {
                return Ok(Replaced::Gone);
            }
            if holder.sha256.is_some() && holder.sha256 == incoming.sha256 {
                return Ok(Replaced::Same(Box::new(serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?)));
            }
            let (mut writes, mut mark) = (vec![self.next_version(tenant, id, &holder, incoming, now)?], None);
            if let Some(sha256) = incoming.sha256.as_deref() {
                mark = Some((writes.len(), sha256));
                writes.push(marks::put(&self.dynamodb, tenant, collection, sha256, id)?);
            }
            // Bytes that were never served leave nothing behind.
            let kept = [holder.served_sha256.as_deref(), incoming.sha256.as_deref()];
            if let Some(old) = holder.sha256.as_deref().filter(|old| !kept.contains(&Some(old))) {
                writes.push(marks::delete(&self.dynamodb, tenant, collection, old, id)?);
            }
            match (self.dynamodb.transact(writes).await?, mark) {
                (Ok(()), _) => return Ok(Replaced::New(Box::new(self.get(tenant, id).await?))),
                (Err(place), Some((marked, sha256))) if place == marked => {
                    if let Some(other) = marks::holder(&self.dynamodb, tenant, collection, sha256).await? {
                        return Ok(Replaced::Elsewhere(other));
                    }
                }
                // Somebody changed the document in between: once more.
                (Err(_), _) => {}
            }
        }
        Err(Error::unavailable("a document is being replaced by others"))
    }

    fn next_version(
        &self,
        tenant: &TenantId,
        id: DocumentId,
        holder: &Holder,
        incoming: &Incoming,
        now: OffsetDateTime,
    ) -> Result<TransactWriteItem, Error> {
        let number = |number: u64| AttributeValue::N(number.to_string());
        let null = AttributeValue::Null(true);
        let mut expression = "SET version = :next, #status = :awaiting, stages = :none, filename = :filename, \
             content_type = :content_type, size_bytes = :size, sha256 = :sha256, #error = :null, updated_at = :now, \
             upload_expires_at = :expires, traceparent = :trace"
            .to_owned();
        let mut update = Update::builder()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::document(tenant, id).attributes()))
            .condition_expression(marks::UNCHANGED)
            .set_expression_attribute_values(Some(holder.unchanged()))
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#error", "error")
            .expression_attribute_names("#collection", "collection")
            .expression_attribute_values(":next", number(u64::from(holder.version) + 1))
            .expression_attribute_values(":awaiting", text(Status::AwaitingUpload.as_str()))
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":filename", text(&incoming.filename))
            .expression_attribute_values(":content_type", text(&incoming.content_type))
            .expression_attribute_values(":size", number(incoming.size_bytes))
            .expression_attribute_values(":sha256", incoming.sha256.clone().map_or(null.clone(), text))
            .expression_attribute_values(":now", tables::time(now)?)
            .expression_attribute_values(":trace", Traceparent::current().map_or(null.clone(), text))
            .expression_attribute_values(":null", null)
            .expression_attribute_values(":expires", seconds(incoming.expires_at));
        if let Some(metadata) = &incoming.metadata {
            expression.push_str(", metadata = :metadata");
            let value = serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(metadata)?;
            update = update.expression_attribute_values(":metadata", value);
        }
        let update = update.update_expression(expression).build().map_err(Error::internal)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Awaits the bytes of a version once more. `None` if they arrived meanwhile, or are not awaited any more.
    pub async fn await_again(
        &self,
        tenant: &TenantId,
        document: &Document,
        expires_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<Option<Document>, Error> {
        let request = self
            .of_version(tenant, document.id, document.version, now)?
            .update_expression(
                "SET updated_at = :now, #status = :awaiting, upload_expires_at = :expires, #error = :null",
            )
            .condition_expression("version = :version AND #status IN (:awaiting, :failed)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#error", "error")
            .expression_attribute_values(":awaiting", text(Status::AwaitingUpload.as_str()))
            .expression_attribute_values(":failed", text(Status::Failed.as_str()))
            .expression_attribute_values(":expires", seconds(expires_at))
            .expression_attribute_values(":null", AttributeValue::Null(true));
        self.apply(request).await
    }

    /// The bytes of a version are stored: it waits for a worker. `None` if one was faster, or if they are not awaited any more.
    pub async fn queued(
        &self,
        tenant: &TenantId,
        id: DocumentId,
        version: u32,
        now: OffsetDateTime,
    ) -> Result<Option<Document>, Error> {
        let request = self
            .of_version(tenant, id, version, now)?
            .update_expression("SET updated_at = :now, #status = :queued")
            // Not one that failed: that was a worker's word on these bytes, and nobody else would come to them.
            .condition_expression("version = :version AND #status = :awaiting")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":queued", text(Status::Queued.as_str()))
            .expression_attribute_values(":awaiting", text(Status::AwaitingUpload.as_str()));
        self.apply(request).await
    }

    /// Gives up a version whose bytes did not arrive in time. `None` if they did, or if there is still time.
    pub async fn expire(
        &self,
        tenant: &TenantId,
        id: DocumentId,
        version: u32,
        now: OffsetDateTime,
    ) -> Result<Option<Document>, Error> {
        let failure = Failure {
            code: ErrorCode::UploadExpired,
            detail: "The bytes of the document did not arrive in time; upload it again.".to_owned(),
        };
        let request = self
            .of_version(tenant, id, version, now)?
            .update_expression("SET updated_at = :now, #status = :failed, #error = :error")
            .condition_expression("version = :version AND #status = :awaiting AND upload_expires_at <= :seconds")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#error", "error")
            .expression_attribute_values(":awaiting", text(Status::AwaitingUpload.as_str()))
            .expression_attribute_values(":failed", text(Status::Failed.as_str()))
            .expression_attribute_values(":seconds", seconds(now))
            .expression_attribute_values(":error", serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(failure)?);
        self.apply(request).await
    }
}

fn seconds(time: OffsetDateTime) -> AttributeValue {
    AttributeValue::N(time.unix_timestamp().to_string())
}
