//! The documents of a collection by their metadata.
//!
//! An index of its own ([`tables::CATALOGUE`]) holds of each document what a filter asks about and nothing else, some 250
//! bytes: 10,000 documents are three pages of a query and 300 read units, where the documents themselves would be ten and
//! 1,250. It lags behind the documents, so whoever shows one of them looks at the document once more.

use serde::Deserialize;

use super::model::Metadata;
use super::repository::Documents;
use crate::error::Error;
use crate::tables::{self, text};
use crate::tenancy::{CollectionId, DocumentId, TenantId};

/// The most documents of a collection that are looked at: the newest.
const MAX_LOOKED_AT: usize = 50_000;

/// A document that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The document.
    pub id: DocumentId,
    /// The version that is served.
    pub version: u32,
    /// How many passages that version has.
    pub passages: u32,
}

/// Documents of a collection that were looked for by their metadata.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Matching {
    /// Those that match, newest first.
    pub documents: Vec<Served>,
    /// The passages of all documents that were looked at.
    pub all_passages: usize,
    /// Whether all documents of the collection were looked at.
    pub complete: bool,
}

#[derive(Deserialize)]
struct Entry {
    sk: String,
    #[serde(default)]
    metadata: Metadata,
    served_version: Option<u32>,
    #[serde(default)]
    chunk_count: u32,
}

impl Documents {
    /// The documents of a collection that are served and whose metadata is as `matches` says.
    pub async fn matching(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        matches: impl Fn(&Metadata) -> bool,
    ) -> Result<Matching, Error> {
        let mut matching = Matching::default();
        let (mut looked_at, mut start) = (0, None);
        loop {
            let answer = self
                .dynamodb
                .client
                .query()
                .table_name(&self.dynamodb.table)
                .index_name(tables::CATALOGUE)
                .key_condition_expression("#partition = :partition")
                .projection_expression("sk, metadata, served_version, chunk_count")
                .expression_attribute_names("#partition", tables::COLLECTION_KEY)
                .expression_attribute_values(":partition", text(tables::collection_partition(tenant, collection)))
                .scan_index_forward(false)
                .set_exclusive_start_key(start)
                .send()
                .await?;
            let items = answer.items.unwrap_or_default();
            looked_at += items.len();
            for item in items {
                let entry: Entry = serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?;
                let Some(version) = entry.served_version else { continue };
                matching.all_passages += entry.chunk_count as usize;
                if matches(&entry.metadata) {
                    let id = entry.sk.strip_prefix(tables::DOCUMENT).and_then(|id| id.parse().ok());
                    let id = id.ok_or_else(|| Error::internal("the catalogue holds what is no document"))?;
                    matching.documents.push(Served { id, version, passages: entry.chunk_count });
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() || looked_at >= MAX_LOOKED_AT {
                matching.complete = start.is_none();
                return Ok(matching);
            }
        }
    }
}
