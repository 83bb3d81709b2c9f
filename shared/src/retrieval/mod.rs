//! Finding passages, in stages of a file each:
//!
//! `places` says where to look, `nearest` finds candidates by meaning and `by_terms` beside it by exact terms, `candidate`
//! unites what several stages found, `current` drops what may not be shown, `rank` orders the rest by meaning and words, and
//! `passage` is what is shown.
//!
//! The lexical score is BM25 over the candidates themselves, with their own document frequencies, fused with the vector
//! score by a convex combination. That equals a full hybrid index on the usual test collections, with no index to keep.

mod bm25;
mod by_terms;
mod candidate;
mod current;
mod fusion;
mod nearest;
mod passage;
mod phrases;
mod places;
mod query;
mod rank;
mod words;

pub use candidate::Candidate;
pub use passage::{Passage, Span};
pub use query::{Mode, SearchQuery};
pub use rank::rank;
pub use words::content_words;

use crate::chunks::Chunks;
use crate::clients::{DynamoDb, Redis};
use crate::config::SearchConfig;
use crate::documents::Documents;
use crate::embed::Models;
use crate::error::Error;
use crate::tenancy::Principal;

/// Finds passages for a caller.
#[derive(Clone)]
pub struct Retriever {
    documents: Documents,
    chunks: Chunks,
    models: Models,
    redis: Redis,
    config: SearchConfig,
}

impl Retriever {
    /// A retriever over these clients.
    pub fn new(dynamodb: &DynamoDb, redis: &Redis, models: Models, config: SearchConfig) -> Self {
        Self {
            documents: Documents::new(dynamodb),
            chunks: Chunks::new(dynamodb),
            models,
            redis: redis.clone(),
            config,
        }
    }

    /// The best passages, best first.
    pub async fn search(&self, principal: &Principal, query: &SearchQuery) -> Result<Vec<Passage>, Error> {
        let (first, second) = self.models_for(principal, query);
        let (mut vector, places) = futures::try_join!(
            self.vector(principal, query, first),
            places::places(&self.documents, principal, query)
        )?;
        let (mut nearest, by_terms) =
            futures::try_join!(self.nearest(principal, &places, &vector), self.by_terms(principal, &places, query))?;
        if let (None, Some(second)) = (&nearest, second) {
            vector = self.vector(principal, query, second).await?;
            nearest = self.nearest(principal, &places, &vector).await?;
        }
        let nearest = nearest.ok_or_else(|| Error::unavailable("no vector index answers"))?;
        let candidates = candidate::join(nearest);
        let (candidates, documents) = self.current(principal, &places, candidates, &by_terms, &vector).await?;
        let ranked = rank(query, self.config.lexical_weight, candidates).into_iter().take(query.limit);
        let passage = |candidate: Candidate| {
            let document = documents.get(&candidate.document_id)?;
            Some(Passage::new(candidate, document))
        };
        Ok(ranked.filter_map(passage).collect())
    }
}
