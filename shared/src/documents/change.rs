//! What an editor changes of a document: its name, its metadata, its collection.

use aws_sdk_dynamodb::types::{ConditionCheck, TransactWriteItem, Update};
use time::OffsetDateTime;

use super::marks::{self, Holder};
use super::model::{Document, Metadata};
use super::repository::Documents;
use crate::collections::Collections;
use crate::editions::Edition;
use crate::error::Error;
use crate::tables::{self, Key, text};
use crate::tenancy::{CollectionId, DocumentId, TenantId};

/// Attempts at moving a document that others change at the same time.
const ROUNDS: usize = 5;

/// What is to be different. What is none stays.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Its name.
    pub filename: Option<String>,
    /// What the client keeps beside it.
    pub metadata: Option<Metadata>,
    /// Where it is.
    pub collection: Option<CollectionId>,
}

impl Documents {
    /// Changes a document of a collection; [`Error::NotFound`] if it is not there. Into another collection its marks go with it
    /// in one transaction; `changes` takes its passages after it.
    pub async fn change(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        id: DocumentId,
        change: &Change,
        now: OffsetDateTime,
    ) -> Result<Document, Error> {
        let target = change.collection.as_ref().unwrap_or(collection);
        for _ in 0..ROUNDS {
            let item = self.dynamodb.get(Key::document(tenant, id)).await?.ok_or(Error::NotFound)?;
            let holder = Holder::from_item(item)?;
            if holder.collection != *collection {
                return Err(Error::NotFound);
            }
            let mut writes = vec![self.changed_item(tenant, id, &holder, target, change, now)?];
            if target == collection {
                if self.dynamodb.transact(writes).await?.is_ok() {
                    return self.get(tenant, id).await;
                }
                continue;
            }
            let marked = holder.marked();
            for sha256 in &marked {
                writes.push(marks::put(&self.dynamodb, tenant, target, sha256, id)?);
            }
            for sha256 in &marked {
                writes.push(marks::delete(&self.dynamodb, tenant, collection, sha256, id)?);
            }
            writes.extend(self.collection_takes(tenant, target, &holder)?);
            let (first, last) = (1, marked.len());
            match self.dynamodb.transact(writes).await? {
                Ok(()) => return self.get(tenant, id).await,
                Err(place) if (first..=last).contains(&place) => {
                    return Err(Error::Conflict("The collection has another document with the same bytes."));
                }
                Err(place) if place > 2 * last => {
                    let collections = Collections::new(&self.dynamodb);
                    if !collections.exists(tenant, target).await? {
                        return Err(Error::field("/collection", "there is no such collection"));
                    }
                    // All others there have vectors that this document lacks.
                    collections.incomplete(tenant, target).await?;
                }
                // Somebody changed the document in between: once more.
                Err(_) => {}
            }
        }
        Err(Error::unavailable("a document is being changed by others"))
    }

    fn changed_item(
        &self,
        tenant: &TenantId,
        id: DocumentId,
        holder: &Holder,
        target: &CollectionId,
        change: &Change,
        now: OffsetDateTime,
    ) -> Result<TransactWriteItem, Error> {
        let mut expression =
            "SET updated_at = :now, #collection = :target, collection_key = :collection_key".to_owned();
        let mut update = Update::builder()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::document(tenant, id).attributes()))
            .condition_expression(marks::UNCHANGED)
            .set_expression_attribute_values(Some(holder.unchanged()))
            .expression_attribute_names("#collection", "collection")
            .expression_attribute_values(":now", tables::time(now)?)
            .expression_attribute_values(":target", text(target.as_str()))
            .expression_attribute_values(":collection_key", text(tables::collection_partition(tenant, target)));
        if let Some(filename) = &change.filename {
            expression.push_str(", filename = :filename");
            update = update.expression_attribute_values(":filename", text(filename));
        }
        if let Some(metadata) = &change.metadata {
            expression.push_str(", metadata = :metadata");
            let value = serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(metadata)?;
            update = update.expression_attribute_values(":metadata", value);
        }
        let update = update.update_expression(expression).build().map_err(Error::internal)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// What must be so of the collection that a document goes to. It is not being deleted: either the deletion sees the
    /// document, or this sees it. And a document that is served is not to be missed there by searches in an edition that it has
    /// no vectors of.
    fn collection_takes(
        &self,
        tenant: &TenantId,
        id: &CollectionId,
        holder: &Holder,
    ) -> Result<Option<TransactWriteItem>, Error> {
        let mut conditions = Vec::new();
        if *id != CollectionId::default_collection() {
            conditions.push("attribute_exists(pk) AND attribute_not_exists(deleted_at)");
        }
        if holder.served_version.is_some() {
            conditions.push("attribute_not_exists(edition_check)");
            conditions.push("(attribute_not_exists(edition) OR edition <= :edition)");
        }
        if conditions.is_empty() {
            return Ok(None);
        }
        let mut check = ConditionCheck::builder()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::collection(tenant, id).attributes()))
            .condition_expression(conditions.join(" AND "));
        if holder.served_version.is_some() {
            let edition = holder.edition.unwrap_or(Edition::FIRST);
            check = check.expression_attribute_values(":edition", edition.into());
        }
        let check = check.build().map_err(Error::internal)?;
        Ok(Some(TransactWriteItem::builder().condition_check(check).build()))
    }
}
