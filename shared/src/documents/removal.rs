//! How documents go.

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::marks::{self, Holder};
use super::repository::Documents;
use crate::error::Error;
use crate::tables::{EXPIRES_AT, Key};
use crate::tenancy::{CollectionId, DocumentId, TenantId};

/// Attempts at deleting a document that others change at the same time.
const ROUNDS: usize = 5;
/// How long it is known that a document was deleted.
const KEEP: Duration = Duration::days(90);

/// That a document was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The document.
    pub id: DocumentId,
    /// Where it was.
    pub collection: CollectionId,
    /// When it was deleted.
    #[serde(with = "time::serde::rfc3339")]
    pub deleted_at: OffsetDateTime,
}

impl Documents {
    /// Removes a document of a collection and the marks of its bytes together, and leaves a note of it. Searches check the
    /// document, so from here on no answer uses it; `changes` removes what is left. Whether it was there.
    pub async fn delete(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        id: DocumentId,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        for _ in 0..ROUNDS {
            let Some(item) = self.dynamodb.get(Key::document(tenant, id)).await? else { return Ok(false) };
            let holder = Holder::from_item(item)?;
            if holder.collection != *collection {
                return Ok(false);
            }
            let removal = Removal { id, collection: collection.clone(), deleted_at: now };
            let mut writes = vec![self.deleted_item(tenant, id, &holder)?, self.note(tenant, &removal)?];
            for sha256 in holder.marked() {
                writes.push(marks::delete(&self.dynamodb, tenant, collection, sha256, id)?);
            }
            if self.dynamodb.transact(writes).await?.is_ok() {
                return Ok(true);
            }
        }
        Err(Error::unavailable("a document is being changed by others"))
    }

    /// The note of a document that was deleted in the last 90 days.
    pub async fn removal(&self, tenant: &TenantId, id: DocumentId) -> Result<Option<Removal>, Error> {
        let item = self.dynamodb.get(Key::removal(tenant, id)).await?;
        Ok(item.map(serde_dynamo::aws_sdk_dynamodb_1::from_item).transpose()?)
    }

    fn deleted_item(&self, tenant: &TenantId, id: DocumentId, holder: &Holder) -> Result<TransactWriteItem, Error> {
        let delete = Delete::builder()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::document(tenant, id).attributes()))
            .condition_expression(marks::UNCHANGED)
            .set_expression_attribute_values(Some(holder.unchanged()))
            .expression_attribute_names("#collection", "collection");
        Ok(TransactWriteItem::builder().delete(delete.build().map_err(Error::internal)?).build())
    }

    fn note(&self, tenant: &TenantId, removal: &Removal) -> Result<TransactWriteItem, Error> {
        let mut item: std::collections::HashMap<_, _> = serde_dynamo::aws_sdk_dynamodb_1::to_item(removal)?;
        item.extend(Key::removal(tenant, removal.id).attributes());
        let expires = (removal.deleted_at + KEEP).unix_timestamp();
        item.insert(EXPIRES_AT.to_owned(), AttributeValue::N(expires.to_string()));
        let put = Put::builder().table_name(&self.dynamodb.table).set_item(Some(item));
        Ok(TransactWriteItem::builder().put(put.build().map_err(Error::internal)?).build())
    }
}
