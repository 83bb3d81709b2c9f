use std::collections::BTreeSet;

use shared::documents::Document;
use shared::error::Error;
use shared::tenancy::{CollectionId, Principal};

use super::Failure;

/// Where the tools may look on behalf of one question: in collections that the caller may read and the question names.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    principal: Principal,
    collections: BTreeSet<CollectionId>,
}

impl Scope {
    /// All that the caller may read, or what is named of it. Naming another is an invalid field.
    pub(crate) fn new(principal: &Principal, named: &[CollectionId]) -> Result<Self, Error> {
        if let Some(unknown) = named.iter().position(|id| !principal.reads(id)) {
            return Err(Error::field(format!("/collections/{unknown}"), "there is no such collection"));
        }
        Ok(Self::left(principal, named))
    }

    /// What is left for the caller to read of what a question named before, which may be nothing.
    pub(crate) fn left(principal: &Principal, named: &[CollectionId]) -> Self {
        let of = |id: &CollectionId| named.is_empty() || named.contains(id);
        let collections = principal.collections.keys().filter(|id| of(id)).cloned().collect();
        Self { principal: principal.clone(), collections }
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

    /// Whether a document may be looked into.
    pub(crate) fn holds(&self, document: &Document) -> bool {
        document.served_version.is_some() && self.collections.contains(&document.collection)
    }
}
