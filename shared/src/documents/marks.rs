//! The marks of what bytes a collection has, so that none are entered twice.
//!
//! A document holds a mark for its newest bytes, once they are known, and one for those that it serves, if they are older. They
//! are written and removed in the transactions that change the document.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use serde::Deserialize;

use crate::clients::DynamoDb;
use crate::editions::Edition;
use crate::error::Error;
use crate::tables::{Key, text};
use crate::tenancy::{CollectionId, DocumentId, TenantId};

/// The condition on a document that whatever decides about its marks is as it was read, with [`Holder::unchanged`]. Its
/// version alone does not tell: a worker may have learned which bytes came, or have made them those that are served.
pub(super) const UNCHANGED: &str = "version = :held_version AND #collection = :held_collection AND sha256 = :held_sha256 AND \
     (served_sha256 = :held_served OR (attribute_not_exists(served_sha256) AND :held_served = :none_held))";

/// What decides which marks a document holds, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Holder {
    pub(super) collection: CollectionId,
    pub(super) version: u32,
    pub(super) sha256: Option<String>,
    #[serde(default)]
    pub(super) served_sha256: Option<String>,
    /// The version that searches use.
    #[serde(default)]
    pub(super) served_version: Option<u32>,
    /// The edition that the served version has vectors of; none for the first.
    #[serde(default)]
    pub(super) edition: Option<Edition>,
}

impl Holder {
    /// Reads the holder in a document's item.
    pub(super) fn from_item(item: HashMap<String, AttributeValue>) -> Result<Self, Error> {
        Ok(serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?)
    }

    /// The bytes it has marks for.
    pub(super) fn marked(&self) -> BTreeSet<&str> {
        self.sha256.as_deref().into_iter().chain(self.served_sha256.as_deref()).collect()
    }

    /// The values of [`UNCHANGED`], which has the name `#collection` as well.
    pub(super) fn unchanged(&self) -> HashMap<String, AttributeValue> {
        let none = AttributeValue::Null(true);
        let optional = |sha256: &Option<String>| sha256.clone().map_or(none.clone(), text);
        let values = [
            (":held_version", AttributeValue::N(self.version.to_string())),
            (":held_collection", text(self.collection.as_str())),
            (":held_sha256", optional(&self.sha256)),
            (":held_served", optional(&self.served_sha256)),
            (":none_held", none.clone()),
        ];
        values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The part of a transaction that leaves a mark, unless another document holds it.
pub(super) fn put(
    dynamodb: &DynamoDb,
    tenant: &TenantId,
    collection: &CollectionId,
    sha256: &str,
    document: DocumentId,
) -> Result<TransactWriteItem, Error> {
    let mut item = Key::content_hash(tenant, collection, sha256).attributes();
    item.insert("document_id".to_owned(), text(document.to_string()));
    let put = Put::builder()
        .table_name(&dynamodb.table)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(pk) OR document_id = :document")
        .expression_attribute_values(":document", text(document.to_string()));
    Ok(TransactWriteItem::builder().put(put.build().map_err(Error::internal)?).build())
}

/// The part of a transaction that removes a mark. One that another document holds by now is in the way.
pub(super) fn delete(
    dynamodb: &DynamoDb,
    tenant: &TenantId,
    collection: &CollectionId,
    sha256: &str,
    document: DocumentId,
) -> Result<TransactWriteItem, Error> {
    let delete = Delete::builder()
        .table_name(&dynamodb.table)
        .set_key(Some(Key::content_hash(tenant, collection, sha256).attributes()))
        .condition_expression("attribute_not_exists(pk) OR document_id = :document")
        .expression_attribute_values(":document", text(document.to_string()));
    Ok(TransactWriteItem::builder().delete(delete.build().map_err(Error::internal)?).build())
}

/// Which document holds the mark of some bytes, if any does.
pub(super) async fn holder(
    dynamodb: &DynamoDb,
    tenant: &TenantId,
    collection: &CollectionId,
    sha256: &str,
) -> Result<Option<DocumentId>, Error> {
    let mark = dynamodb.get(Key::content_hash(tenant, collection, sha256)).await?;
    Ok(mark.and_then(|mark| mark.get("document_id")?.as_s().ok()?.parse().ok()))
}
