//! Passages with their vectors: written by ingestion, found by search.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use serde::{Deserialize, Serialize};

use crate::clients::DynamoDb;
use crate::error::Error;
use crate::page::List;
use crate::tables::{self, Key, text};
use crate::tenancy::{CollectionId, DocumentId, TenantId};

/// `SearchVectors` returns at most this many results.
pub const MAX_NEAREST: usize = 100;

/// A passage of one version of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The version of the document.
    pub version: u32,
    /// Its place in the document, from 0.
    pub chunk_index: u32,
    /// What it says.
    pub text: String,
    /// The page it begins on, from 1, where there are pages.
    pub page: Option<u32>,
    /// The headings above it, outermost first, joined by `›`.
    pub heading: Option<String>,
    /// Where it begins in the text of the document, in characters (Unicode scalar values).
    pub span_start: u32,
    /// Where it ends, exclusive.
    pub span_end: u32,
}

impl Chunk {
    /// The name of the passage in answers.
    pub fn id(&self, document: DocumentId) -> String {
        format!("{document}-{}-{}", self.version, self.chunk_index)
    }
}

/// A passage near a vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The document it belongs to.
    pub document_id: DocumentId,
    /// The passage.
    pub chunk: Chunk,
    /// Cosine similarity, from -1 to 1.
    pub similarity: f32,
}

/// The passages of the tenants.
#[derive(Debug, Clone)]
pub struct Chunks {
    dynamodb: DynamoDb,
}

impl Chunks {
    /// The passages in this database.
    pub fn new(dynamodb: &DynamoDb) -> Self {
        Self { dynamodb: dynamodb.clone() }
    }

    /// Writes passages with their vectors. Keys follow from the content's place, so doing it twice changes nothing.
    pub async fn put(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        document: DocumentId,
        chunks: &[(Chunk, Vec<f32>)],
    ) -> Result<(), Error> {
        let mut writes = Vec::with_capacity(chunks.len());
        for (chunk, vector) in chunks {
            let mut item: HashMap<_, _> = serde_dynamo::aws_sdk_dynamodb_1::to_item(chunk)?;
            item.extend(Key::chunk(tenant, document, chunk.version, chunk.chunk_index).attributes());
            item.insert("scope".to_owned(), text(tables::vector_scope(tenant, collection)));
            item.insert("document_id".to_owned(), text(document.to_string()));
            item.insert("embedding".to_owned(), AttributeValue::L(tables::vector(vector)));
            let put = PutRequest::builder().set_item(Some(item)).build().map_err(Error::internal)?;
            writes.push(WriteRequest::builder().put_request(put).build());
        }
        self.dynamodb.write_all(&self.dynamodb.chunks_table, writes).await
    }

    /// The passages of one version in order, for [`crate::page::Pages`].
    pub fn list(tenant: &TenantId, document: DocumentId, version: u32) -> List<Chunk> {
        let partition = tables::document_partition(tenant, document);
        List::new(partition, tables::chunk_version_prefix(version)).of_chunks(&tables::PROJECTED)
    }

    /// Removes the passages of all versions.
    pub async fn delete_all(&self, tenant: &TenantId, document: DocumentId) -> Result<(), Error> {
        let partition = tables::document_partition(tenant, document);
        self.dynamodb.delete_all(&self.dynamodb.chunks_table, partition).await
    }

    /// The passages nearest to a vector in one collection, or in one document of it, best first.
    pub async fn nearest(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        document: Option<DocumentId>,
        vector: &[f32],
    ) -> Result<Vec<Hit>, Error> {
        let mut request = self
            .dynamodb
            .client
            .search_vectors()
            .table_name(&self.dynamodb.chunks_table)
            .index_name(tables::BY_EMBEDDING)
            .set_search_vector(Some(tables::vector(vector)))
            .top_k(i32::try_from(MAX_NEAREST).unwrap_or(i32::MAX))
            .projection_expression(format!("document_id, {}, #text", projection_but_text()))
            .expression_attribute_names("#text", "text")
            .expression_attribute_names("#scope", "scope")
            .expression_attribute_values(":scope", text(tables::vector_scope(tenant, collection)));
        request = match document {
            None => request.search_condition_expression("#scope = :scope"),
            Some(id) => request
                .search_condition_expression("#scope = :scope AND document_id = :document")
                .expression_attribute_values(":document", text(id.to_string())),
        };
        let answer = request.send().await?;
        let mut hits = Vec::new();
        for result in answer.search_results.unwrap_or_default() {
            let item = result.item.ok_or_else(|| Error::internal("a search result without its item"))?;
            let document_id = item
                .get("document_id")
                .and_then(|id| id.as_s().ok()?.parse().ok())
                .ok_or_else(|| Error::internal("a search result without its document"))?;
            #[expect(clippy::cast_possible_truncation, reason = "the index computes with f32 anyway")]
            let similarity = 1.0 - result.score as f32;
            hits.push(Hit { document_id, chunk: serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?, similarity });
        }
        Ok(hits)
    }
}

/// The projected attributes but `text`, which is a reserved word.
fn projection_but_text() -> String {
    tables::PROJECTED.iter().filter(|name| **name != "text").copied().collect::<Vec<_>>().join(", ")
}
