use std::collections::BTreeSet;

use shared::documents::Document;
use shared::error::Error;
use shared::retrieval::Filter;
use shared::tenancy::{CollectionId, Principal};

use super::{Failure, Within};

/// Where the tools may look on behalf of one question: in collections that the caller may read and the question names, in
/// documents that pass its filters.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    principal: Principal,
    collections: BTreeSet<CollectionId>,
    filter: Option<Filter>,
}

impl Scope {
    /// All that the caller may read, or what is named of it. Naming what there is not is an invalid field, as are filters that
    /// cannot be read.
    pub(crate) fn new(principal: &Principal, within: &Within) -> Result<Self, Error> {
        if let Some(unknown) = within.collections.iter().position(|id| !principal.reads(id)) {
            return Err(Error::field(format!("/collections/{unknown}"), "there is no such collection"));
        }
        Self::left(principal, within)
    }

    /// What is left for the caller to read of what a question was limited to before, which may be nothing.
    pub(crate) fn left(principal: &Principal, within: &Within) -> Result<Self, Error> {
        let named = &within.collections;
        let of = |id: &CollectionId| named.is_empty() || named.contains(id);
        let collections = principal.collections.keys().filter(|id| of(id)).cloned().collect();
        Ok(Self { principal: principal.clone(), collections, filter: within.filter()? })
    }

    /// On whose behalf.
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The collections, in the order of their ids.
    pub(crate) fn collections(&self) -> impl Iterator<Item = &CollectionId> {
        self.collections.iter()
    }

    /// Those of the collections that a call names, or all.
    pub(super) fn narrowed(&self, named: Option<Vec<CollectionId>>) -> Result<Vec<CollectionId>, Failure> {
        let named = named.unwrap_or_default();
        if let Some(unknown) = named.iter().find(|id| !self.collections.contains(id)) {
            let all = self.collections().map(CollectionId::as_str).collect::<Vec<_>>().join(", ");
            return Err(Failure::Wrong(format!("There is no collection {unknown}. There are: {all}.")));
        }
        Ok(if named.is_empty() { self.collections.iter().cloned().collect() } else { named })
    }

    /// The filter of a search that has one of its own, or none.
    pub(super) fn filter(&self, own: Option<Filter>) -> Option<Filter> {
        match (self.filter.clone(), own) {
            (Some(filter), Some(own)) => Some(filter.and(own)),
            (filter, own) => filter.or(own),
        }
    }

    /// Whether a document may be looked into.
    pub(crate) fn holds(&self, document: &Document) -> bool {
        document.served_version.is_some()
            && self.collections.contains(&document.collection)
            && self.filter.as_ref().is_none_or(|filter| filter.matches(&document.metadata))
    }
}
