//! The passages nearest to a vector.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;

use super::{Chunk, Chunks, Item, SCOPE};
use crate::editions::Edition;
use crate::error::Error;
use crate::tables::{self, text};
use crate::tenancy::{CollectionId, DocumentId, TenantId};

/// `SearchVectors` returns at most this many results.
pub const MAX_NEAREST: usize = 100;

/// What is asked of a passage for a [`Hit`]. `#text` stands for `text`, which is a reserved word.
pub(super) const PROJECTION: &str = "document_id, chunk_index, heading, page, span_end, span_start, #text, version";

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
            .projection_expression(PROJECTION)
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
        let hits = answer.search_results.unwrap_or_default().into_iter().map(|result| {
            let item = result.item.ok_or_else(|| Error::internal("a search result without its item"))?;
            #[expect(clippy::cast_possible_truncation, reason = "the index computes with f32 anyway")]
            let similarity = 1.0 - result.score as f32;
            hit(item, similarity)
        });
        hits.collect::<Result<_, _>>().map(Some)
    }
}

/// What [`PROJECTION`] returned.
pub(super) fn hit(item: Item, similarity: f32) -> Result<Hit, Error> {
    let document_id = item.get("document_id").and_then(|id| id.as_s().ok()?.parse().ok());
    let document_id = document_id.ok_or_else(|| Error::internal("a passage without its document"))?;
    Ok(Hit { document_id, chunk: serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?, similarity })
}

#[cfg(test)]
mod tests {
    use super::PROJECTION;
    use crate::tables::PROJECTED;

    #[test]
    fn a_search_asks_for_what_the_index_holds() {
        let mut asked: Vec<_> = PROJECTION.split(", ").map(|name| name.trim_start_matches('#')).collect();
        asked.retain(|name| *name != "document_id");
        asked.sort_unstable();
        assert_eq!(asked, PROJECTED);
    }
}
