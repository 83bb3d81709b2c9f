use serde_json::Value;
use shared::error::Error;
use shared::retrieval::Filter;
use shared::tenancy::CollectionId;

/// The longest filters, in bytes of JSON: they are stored with the question.
const MAX_FILTERS: usize = 16 * 1024;

/// What a question is limited to, as its user says it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Within {
    /// Only these collections; all that the user may read if there are none.
    pub(crate) collections: Vec<CollectionId>,
    /// Only documents whose metadata passes.
    pub(crate) filters: Option<Value>,
}

impl Within {
    /// The filters, read. What is wrong with them is an invalid field.
    pub(super) fn filter(&self) -> Result<Option<Filter>, Error> {
        let Some(filters) = &self.filters else { return Ok(None) };
        if filters.to_string().len() > MAX_FILTERS {
            return Err(Error::field("/filters", format!("must have at most {MAX_FILTERS} bytes")));
        }
        Filter::parse(filters, "/filters").map(Some).map_err(Error::Invalid)
    }

    /// The same, with what it says nothing of as another says it.
    pub(crate) fn or(&self, other: &Self) -> Self {
        let collections = if self.collections.is_empty() { &other.collections } else { &self.collections };
        Self { collections: collections.clone(), filters: self.filters.clone().or_else(|| other.filters.clone()) }
    }
}
