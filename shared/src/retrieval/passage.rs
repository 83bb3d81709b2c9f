use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::candidate::Candidate;
use crate::documents::Document;
use crate::tenancy::{CollectionId, DocumentId};

/// A passage that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Passage {
    /// Names the passage.
    pub chunk_id: String,
    /// The document it stands in.
    pub document_id: DocumentId,
    /// That document's name.
    pub filename: String,
    /// That document's collection.
    pub collection: CollectionId,
    /// The page it begins on, where there are pages.
    #[schema(required)]
    pub page: Option<u32>,
    /// The headings above it.
    #[schema(required)]
    pub heading: Option<String>,
    /// Where it stands in the document's text.
    pub span: Span,
    /// What it says.
    pub text: String,
    /// How well it fits, from 0 to 1; comparable within one answer only.
    pub score: f32,
}

/// A range of characters (Unicode scalar values) of a document's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Span {
    /// The first.
    pub start: u32,
    /// One behind the last.
    pub end: u32,
}

impl Passage {
    /// A candidate as it is shown.
    pub(super) fn new(candidate: Candidate, document: &Document) -> Self {
        let Candidate { document_id, chunk, score, .. } = candidate;
        Self {
            chunk_id: chunk.id(document_id),
            document_id,
            filename: document.filename.clone(),
            collection: document.collection.clone(),
            page: chunk.page,
            heading: chunk.heading,
            span: Span { start: chunk.span_start, end: chunk.span_end },
            text: chunk.text,
            score,
        }
    }
}
