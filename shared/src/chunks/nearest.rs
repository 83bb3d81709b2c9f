//! The passages nearest to a vector.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;

use super::{Chunk, Chunks, Item, SCOPE};
use crate::editions::Edition;
use crate::error::Error;
use crate::tables::{self, text};
use crate::tenancy::{CollectionId, DocumentId, TenantId};

/// `SearchVectors` returns at most this many results.
pub const MAX_NEAREST: usize = 100;

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

impl Chunks {
    /// The passages nearest to a vector in one collection, or in one document of it, best first. `None` if the edition has no
    /// index, or none that answers yet: a new one refuses searches for minutes, even while it is said to be active.
    pub async fn nearest(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        document: Option<DocumentId>,
        edition: Edition,
        vector: &[f32],
    ) -> Result<Option<Vec<Hit>>, Error> {
        let mut request = self
            .dynamodb
            .client
            .search_vectors()
            .table_name(&self.dynamodb.chunks_table)
            .index_name(edition.index())
            .set_search_vector(Some(tables::vector(vector)))
            .top_k(i32::try_from(MAX_NEAREST).unwrap_or(i32::MAX))
            .projection_expression(projection())
            .expression_attribute_names("#text", "text")
            .expression_attribute_names("#scope", SCOPE)
            .expression_attribute_values(":scope", text(tables::vector_scope(tenant, collection)));
        request = match document {
            None => request.search_condition_expression("#scope = :scope"),
            Some(id) => request
                .search_condition_expression("#scope = :scope AND document_id = :document")
                .expression_attribute_values(":document", text(id.to_string())),
        };
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if matches!(error.code(), Some("ValidationException" | "ResourceNotFoundException")) => {
                tracing::warn!(%edition, error = error.message(), "an index refuses searches");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let mut hits = Vec::new();
        for result in answer.search_results.unwrap_or_default() {
            let item = result.item.ok_or_else(|| Error::internal("a search result without its item"))?;
            #[expect(clippy::cast_possible_truncation, reason = "the index computes with f32 anyway")]
            let similarity = 1.0 - result.score as f32;
            hits.push(Hit::from_item(item, similarity)?);
        }
        Ok(Some(hits))
    }
}

impl Hit {
    pub(super) fn from_item(item: Item, similarity: f32) -> Result<Self, Error> {
        let document_id = item
            .get("document_id")
            .and_then(|id| id.as_s().ok()?.parse().ok())
            .ok_or_else(|| Error::internal("a passage without its document"))?;
        Ok(Self { document_id, chunk: serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?, similarity })
    }
}

/// What a [`Hit`] is made of; `#text` stands for `text`, which is a reserved word.
pub(super) fn projection() -> String {
    let others: Vec<_> = tables::PROJECTED.iter().filter(|name| **name != "text").copied().collect();
    format!("document_id, #text, {}", others.join(", "))
}
