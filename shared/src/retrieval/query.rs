use serde::Deserialize;
use utoipa::ToSchema;

use super::filter::Filter;
use crate::tenancy::{CollectionId, DocumentId};

/// What to look for, and where. A caller names what differs from [`SearchQuery::new`]:
///
/// ```ignore
/// SearchQuery { limit: 5, ..SearchQuery::new("what do ducks eat?") }
/// ```
#[derive(Debug, Clone)]
pub struct SearchQuery {
    /// The words of the caller.
    pub query: String,
    /// Only in these collections; all that the caller may read if empty.
    pub collections: Vec<CollectionId>,
    /// Only in these documents, if any are named.
    pub document_ids: Vec<DocumentId>,
    /// Only in documents whose metadata passes.
    pub filter: Option<Filter>,
    /// The most passages to return.
    pub limit: usize,
    /// Whether the passages' words count beside their meaning.
    pub mode: Mode,
    /// The most passages of one document. If none is said: 3, or all where documents are named.
    pub max_per_document: Option<usize>,
    /// Only passages with this score or a higher one.
    pub min_score: Option<f32>,
    /// Whether passages of the answer that follow each other in a document are one.
    pub merge_adjacent: bool,
    /// Whether each passage says how it was found.
    pub explain: bool,
}

/// The most passages of one document, unless something else is said.
const PER_DOCUMENT: usize = 3;

impl SearchQuery {
    /// The ten best passages of all that the caller may read, by meaning and by words.
    pub fn new(query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            collections: Vec::new(),
            document_ids: Vec::new(),
            filter: None,
            limit: 10,
            mode: Mode::default(),
            max_per_document: None,
            min_score: None,
            merge_adjacent: false,
            explain: false,
        }
    }

    /// The most passages of one document.
    pub(super) fn per_document(&self) -> usize {
        let usual = if self.document_ids.is_empty() { PER_DOCUMENT } else { self.limit };
        self.max_per_document.unwrap_or(usual)
    }

    /// Whether it asks this collection, if the caller may read it.
    pub(super) fn asks(&self, collection: &CollectionId) -> bool {
        self.collections.is_empty() || self.collections.contains(collection)
    }
}

/// How passages are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SearchMode)]
pub enum Mode {
    /// By meaning and by words.
    #[default]
    Hybrid,
    /// By meaning alone.
    Semantic,
}
