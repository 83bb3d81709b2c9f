use super::query::SearchQuery;
use crate::documents::{Document, Documents};
use crate::error::Error;
use crate::tenancy::{CollectionId, DocumentId, Principal};

/// Where to look: one partition of the vector index, or one document in it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) collection: CollectionId,
    pub(super) document: Option<DocumentId>,
}

impl Place {
    /// Whether a document is in it.
    pub(super) fn holds(&self, document: &Document) -> bool {
        self.collection == document.collection && self.document.is_none_or(|id| id == document.id)
    }
}

/// The collections asked for that the caller may read, or the documents asked for that are in them and pass the filter.
pub(super) async fn places(
    documents: &Documents,
    principal: &Principal,
    query: &SearchQuery,
) -> Result<Vec<Place>, Error> {
    if let Some(unknown) = query.collections.iter().position(|id| !principal.reads(id)) {
        return Err(Error::field(format!("/collections/{unknown}"), "there is no such collection"));
    }
    if query.document_ids.is_empty() {
        let asked = principal.collections.keys().filter(|id| query.asks(id));
        return Ok(asked.map(|id| Place { collection: id.clone(), document: None }).collect());
    }
    let mut documents = documents.get_many(&principal.tenant, query.document_ids.iter().copied()).await?;
    // What the caller may not read is to the caller as if it were not there.
    documents.retain(|_, document| principal.reads(&document.collection));
    if let Some(unknown) = query.document_ids.iter().position(|id| !documents.contains_key(id)) {
        return Err(Error::field(format!("/document_ids/{unknown}"), "there is no such document"));
    }
    let passes = |document: &Document| query.filter.as_ref().is_none_or(|filter| filter.matches(&document.metadata));
    Ok(documents
        .into_values()
        .filter(|document| query.asks(&document.collection) && passes(document))
        .map(|document| Place { collection: document.collection, document: Some(document.id) })
        .collect())
}
