use std::collections::HashMap;

use super::Retriever;
use super::by_terms::ByTerms;
use super::candidate::Candidate;
use super::nearest::QueryVector;
use super::places::Place;
use super::query::SearchQuery;
use crate::documents::Document;
use crate::error::Error;
use crate::tenancy::{DocumentId, Principal};

impl Retriever {
    /// Those of the candidates and of the passages found by terms that may be shown, and their documents by a consistent read:
    /// each is of the version that its document serves, in a place that was asked for, and passes the filter. Indexes lag behind
    /// the documents, so what was deleted, replaced, moved or described anew may still be found in them.
    pub(super) async fn current(
        &self,
        principal: &Principal,
        places: &[Place],
        query: &SearchQuery,
        mut candidates: Vec<Candidate>,
        by_terms: &ByTerms,
        vector: &QueryVector<'_>,
    ) -> Result<(Vec<Candidate>, HashMap<DocumentId, Document>), Error> {
        let (tenant, edition) = (&principal.tenant, vector.model.edition);
        let others = by_terms.others(&candidates);
        let ids = candidates.iter().map(|candidate| candidate.document_id);
        let ids: Vec<_> = ids.chain(others.iter().map(|key| key.document)).collect();
        let (documents, others) = futures::try_join!(
            self.documents.get_many(tenant, ids),
            self.chunks.scored(tenant, &others, edition, &vector.numbers, others.len())
        )?;
        candidates.extend(others.into_iter().map(|hit| Candidate { is_near: false, ..Candidate::from(hit) }));
        by_terms.mark(&mut candidates);
        candidates.retain_mut(|candidate| {
            let Some(document) = documents.get(&candidate.document_id) else { return false };
            candidate.filename.clone_from(&document.filename);
            candidate.language.clone_from(&document.language);
            document.served_version == Some(candidate.chunk.version)
                && places.iter().any(|place| place.holds(document))
                && query.filter.as_ref().is_none_or(|filter| filter.matches(&document.metadata))
        });
        Ok((candidates, documents))
    }
}
