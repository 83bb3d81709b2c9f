//! What a filter leaves of the collections, and how its passages are found.
//!
//! The vector index knows nothing of metadata, gives 100 results at most, and has one attribute to narrow a search by: the
//! document. A filter that ran over its results would lose most of what it is to find. So the documents that pass are looked up
//! first ([`Documents::matching`]), and their number decides the rest, each way with a bounded number of requests.

use std::collections::HashSet;

use futures::future::try_join_all;

use super::places::Place;
use super::query::SearchQuery;
use crate::chunks::{ChunkKey, MAX_NEAREST};
use crate::documents::{Documents, Served};
use crate::error::Error;
use crate::tenancy::{CollectionId, DocumentId, TenantId};

/// The most documents that are searched each by itself.
const MAX_SEARCHES: usize = 20;
/// So few passages are compared one by one whatever else is possible.
const FEW_PASSAGES: usize = 200;
/// Of the results of a whole search, so many are to be expected to pass before it is tried.
const WORTH_A_SEARCH: usize = MAX_NEAREST / 2;
/// Passages that are wanted beyond those that are shown: some are ranked better by their words, others are left out.
const FEWEST: usize = 20;

/// The documents that pass a filter.
#[derive(Debug)]
pub(super) struct Narrowed {
    documents: Vec<(CollectionId, Served)>,
    /// Their passages.
    passages: usize,
    /// How their passages are found.
    pub(super) way: Way,
    /// Whether all documents were asked whether they pass.
    complete: bool,
    /// The most passages that are compared one by one.
    most: usize,
}

/// How the passages of the documents that pass are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Each is compared with the query.
    OneByOne,
    /// A search of the index for each document.
    ByDocument,
    /// A search of the index for everything, whose results are filtered.
    Whole,
}

impl Narrowed {
    /// The documents in these places that pass the filter of the query, if it has one. Documents that are asked for by name
    /// were looked at already.
    pub(super) async fn by_filter(
        documents: &Documents,
        tenant: &TenantId,
        places: &[Place],
        query: &SearchQuery,
        most: usize,
    ) -> Result<Option<Self>, Error> {
        let Some(filter) = query.filter.as_ref().filter(|_| query.document_ids.is_empty()) else { return Ok(None) };
        let looked_up = places.iter().map(|Place { collection, .. }| async move {
            let matching = documents.matching(tenant, collection, |metadata| filter.matches(metadata)).await?;
            Ok::<_, Error>((collection, matching))
        });
        let (mut served, mut all_passages, mut complete) = (Vec::new(), 0, true);
        for (collection, matching) in try_join_all(looked_up).await? {
            all_passages += matching.all_passages;
            complete &= matching.complete;
            served.extend(matching.documents.into_iter().map(|document| (collection.clone(), document)));
        }
        let passages = served.iter().map(|(_, document)| document.passages as usize).sum();
        let way = if complete { Way::of(served.len(), passages, all_passages, most) } else { Way::Whole };
        Ok(Some(Self { documents: served, passages, way, complete, most }))
    }

    /// How many documents pass.
    pub(super) fn documents(&self) -> usize {
        self.documents.len()
    }

    /// The documents that pass, if all were asked.
    pub(super) fn passing(&self) -> Option<HashSet<DocumentId>> {
        self.complete.then(|| self.documents.iter().map(|(_, served)| served.id).collect())
    }

    /// The places to search one by one.
    pub(super) fn places(&self) -> Vec<Place> {
        let place = |(collection, document): &(CollectionId, Served)| Place {
            collection: collection.clone(),
            document: Some(document.id),
        };
        self.documents.iter().map(place).collect()
    }

    /// The passages to compare one by one: all, or those of the newest documents if there are too many.
    pub(super) fn passages(&self) -> Vec<ChunkKey> {
        let names = self.documents.iter().flat_map(|(_, Served { id, version, passages })| {
            (0..*passages).map(|index| ChunkKey { document: *id, version: *version, index })
        });
        names.take(self.most).collect()
    }

    /// Whether a whole search found too few passages that pass, and others are there to be found.
    pub(super) fn lacks(&self, found: usize, query: &SearchQuery) -> bool {
        self.way == Way::Whole && found < self.passages.min((2 * query.limit).clamp(FEWEST, MAX_NEAREST))
    }

    /// Whether nothing was missed, after so many were found.
    pub(super) fn is_complete(&self, found: usize, query: &SearchQuery) -> bool {
        self.complete && (self.passages <= self.most || !self.lacks(found, query))
    }
}

impl Way {
    /// For documents that pass and their passages, among all passages. A search is one request, as are 100 passages that are
    /// compared; the index reads much for each search, and what it finds by itself is approximate.
    fn of(documents: usize, passages: usize, all: usize, most: usize) -> Self {
        let by_document = documents <= MAX_SEARCHES;
        if passages <= FEW_PASSAGES.min(most) {
            Self::OneByOne
        } else if by_document && (documents <= passages.div_ceil(MAX_NEAREST) || passages > most) {
            Self::ByDocument
        } else if passages * MAX_NEAREST >= WORTH_A_SEARCH * all || passages > most {
            Self::Whole
        } else {
            Self::OneByOne
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_follows_from_how_much_passes() {
        use Way::{ByDocument, OneByOne, Whole};
        for (documents, passages, all, way) in [
            (0, 0, 10_000, OneByOne),
            (10, 10, 10_000, OneByOne),
            (100, 100, 10_000, OneByOne),
            (1, 100, 10_000, OneByOne),
            (500, 500, 10_000, OneByOne),
            (2_000, 2_000, 10_000, OneByOne),
            (1, 1_000, 10_000, ByDocument),
            (10, 1_000, 10_000, ByDocument),
            (20, 1_000, 10_000, OneByOne),
            (20, 10_000, 100_000, ByDocument),
            (5_000, 5_000, 10_000, Whole),
            (1_000, 1_000, 2_000, Whole),
            (5_000, 5_000, 100_000, Whole),
        ] {
            assert_eq!(Way::of(documents, passages, all, 2_000), way, "{passages} passages of {documents} documents");
        }
        assert_eq!(Way::of(5, 5, 10_000, 0), ByDocument, "where none are compared");
    }

    #[test]
    fn a_whole_search_that_finds_enough_is_enough() {
        let narrowed = |passages, way| Narrowed { documents: Vec::new(), passages, way, complete: true, most: 2_000 };
        let query = SearchQuery { limit: 30, ..SearchQuery::new("ducks") };
        let whole = narrowed(1_000, Way::Whole);
        assert!(whole.lacks(59, &query) && !whole.lacks(60, &query));
        assert!(!narrowed(40, Way::Whole).lacks(40, &query), "there are no more");
        assert!(!narrowed(1_000, Way::OneByOne).lacks(0, &query));
        assert!(whole.is_complete(0, &query), "the others are compared");
        let many = narrowed(2_001, Way::Whole);
        assert!(!many.is_complete(59, &query) && many.is_complete(60, &query));
    }
}
