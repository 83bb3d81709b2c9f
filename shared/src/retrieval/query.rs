use serde::Deserialize;
use utoipa::ToSchema;

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
    /// The most passages to return.
    pub limit: usize,
    /// Whether the passages' words count beside their meaning.
    pub mode: Mode,
}

impl SearchQuery {
    /// The ten best passages of all that the caller may read, by meaning and by words.
    pub fn new(query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            collections: Vec::new(),
            document_ids: Vec::new(),
            limit: 10,
            mode: Mode::default(),
        }
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
