use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::passage::{Passage, Span};
use crate::tenancy::{CollectionId, DocumentId};

/// What a search found, and how.
#[derive(Debug, Default)]
pub struct Found {
    /// The passages, best first.
    pub passages: Vec<FoundPassage>,
    /// What the filter let through, if there was one.
    pub filtered: Option<Filtered>,
    /// Whether a reranker was to put them in order and did not.
    pub rerank_failed: bool,
    /// What took how long, in order.
    pub stages: Vec<(&'static str, Duration)>,
}

/// What a filter let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Filtered {
    /// How many documents pass; none if the documents were named.
    #[schema(required)]
    pub documents: Option<usize>,
    /// Whether all of their passages were considered. If not, there may be better ones than those that are shown.
    pub complete: bool,
}

/// A passage that was found, with what was found out about it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FoundPassage {
    /// The passage.
    #[serde(flatten)]
    pub passage: Passage,
    /// Where words of the query stand in `text`, in characters (Unicode scalar values) from its beginning.
    pub highlights: Vec<Span>,
    /// Passages that say the same.
    pub duplicates: Vec<Duplicate>,
    /// The passages that it is merged of, in their order; empty if it is one.
    pub merged: Vec<String>,
    /// How it was found, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub explanation: Option<Explanation>,
}

/// A passage that says the same as another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Duplicate {
    /// Names the passage.
    pub chunk_id: String,
    /// The document it stands in.
    pub document_id: DocumentId,
    /// That document's name.
    pub filename: String,
    /// That document's collection.
    pub collection: CollectionId,
}

/// How a passage was found: what each stage gave it, and its rank there among all candidates, from 1.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Explanation {
    /// The cosine of the vectors of query and passage, from -1 to 1; none if only its words were found.
    #[schema(required)]
    pub vector_score: Option<f32>,
    /// By that.
    #[schema(required)]
    pub vector_rank: Option<usize>,
    /// BM25 of the query's words, 0 if it has none of them.
    pub lexical_score: f32,
    /// By that.
    #[schema(required)]
    pub lexical_rank: Option<usize>,
    /// The uncommon words of the query that it was found by.
    pub exact_terms: Vec<String>,
    /// Both scores together, from 0 to 1.
    pub fused_score: f32,
    /// By that.
    pub fused_rank: usize,
    /// What the reranker gave it, from 0 to 1; none if it was not asked.
    #[schema(required)]
    pub rerank_score: Option<f32>,
    /// By that.
    #[schema(required)]
    pub rerank_rank: Option<usize>,
}
