//! Finding passages, in stages of a file each:
//!
//! `places` says where to look and `narrowed` what a filter leaves of that; `nearest` finds candidates by meaning and `by_terms`
//! beside it by exact terms, `candidate` unites what several stages found, `current` drops what may not be shown, `rank` orders
//! the rest by meaning and words and `reranked` by a model, if there is one; `select` chooses what is shown (`duplicates`,
//! `merge`, `highlight`, `explain`).
//!
//! The lexical score is BM25 over the candidates themselves, with their own document frequencies, fused with the vector
//! score by a convex combination. That equals a full hybrid index on the usual test collections, with no index to keep.

mod beginnings;
mod bm25;
mod by_terms;
mod candidate;
mod current;
mod duplicates;
mod explain;
mod filter;
mod found;
mod fusion;
mod highlight;
mod merge;
mod narrowed;
mod nearest;
mod passage;
mod phrases;
mod places;
mod query;
mod rank;
mod reranked;
mod select;
mod words;

use std::time::{Duration, Instant};

pub use candidate::Candidate;
pub use filter::Filter;
pub use found::{Duplicate, Explanation, Filtered, Found, FoundPassage};
pub use passage::{Passage, Span};
pub use query::{Mode, SearchQuery};
pub use rank::rank;
pub use select::select;
pub use words::content_words;

use self::narrowed::Narrowed;
use self::places::Place;
use crate::chunks::Chunks;
use crate::clients::{DynamoDb, Redis};
use crate::config::SearchConfig;
use crate::documents::Documents;
use crate::embed::Models;
use crate::error::Error;
use crate::metrics;
use crate::rerank::Reranker;
use crate::tenancy::Principal;

/// Finds passages for a caller.
#[derive(Clone)]
pub struct Retriever {
    documents: Documents,
    chunks: Chunks,
    models: Models,
    redis: Redis,
    reranker: Option<Reranker>,
    config: SearchConfig,
}

impl Retriever {
    /// A retriever over these clients.
    pub fn new(
        dynamodb: &DynamoDb,
        redis: &Redis,
        models: Models,
        reranker: Option<Reranker>,
        config: SearchConfig,
    ) -> Self {
        Self {
            documents: Documents::new(dynamodb),
            chunks: Chunks::new(dynamodb),
            models,
            redis: redis.clone(),
            reranker,
            config,
        }
    }

    /// The best passages, best first, with what was found out about each.
    pub async fn find(&self, principal: &Principal, query: &SearchQuery) -> Result<Found, Error> {
        let mut clock = Clock::start();
        let (first, second) = self.models_for(principal, query);
        let (vector, (places, narrowed)) =
            futures::try_join!(self.vector(principal, query, first), self.places(principal, query))?;
        clock.lap("query");

        let mut vector = vector;
        let (mut candidates, mut by_terms) = futures::try_join!(
            self.candidates(principal, &places, narrowed.as_ref(), &vector),
            self.by_terms(principal, &places, query)
        )?;
        if let (None, Some(second)) = (&candidates, second) {
            vector = self.vector(principal, query, second).await?;
            candidates = self.candidates(principal, &places, narrowed.as_ref(), &vector).await?;
        }
        let candidates = candidates.ok_or_else(|| Error::unavailable("no vector index answers"))?;
        clock.lap("candidates");

        if let Some(passing) = narrowed.as_ref().and_then(Narrowed::passing) {
            by_terms.retain(|document| passing.contains(&document));
        }
        let candidates = candidate::join(candidates);
        let (mut candidates, mut documents) =
            self.current(principal, &places, query, candidates, &by_terms, &vector).await?;
        let passed = candidates.iter().filter(|candidate| candidate.is_near).count();
        if let Some(narrowed) = narrowed.as_ref().filter(|narrowed| narrowed.lacks(passed, query)) {
            candidates.extend(self.one_by_one(principal, narrowed, &vector).await?);
            candidates = candidate::join(candidates);
            (candidates, documents) = self.current(principal, &places, query, candidates, &by_terms, &vector).await?;
        }
        clock.lap("documents");

        let mut ranked = rank(query, self.config.lexical_weight, candidates);
        clock.lap("rank");
        let rerank_failed = self.rerank(query, &mut ranked).await;
        clock.lap("rerank");

        let filtered = query.filter.as_ref().map(|_| Filtered {
            documents: narrowed.as_ref().map(Narrowed::documents),
            complete: narrowed.as_ref().is_none_or(|narrowed| narrowed.is_complete(passed, query)),
        });
        let passages = select(query, ranked, &documents);
        clock.lap("select");
        Ok(Found { passages, filtered, rerank_failed, stages: clock.stages })
    }

    /// Where to look, and what a filter leaves of it.
    async fn places(
        &self,
        principal: &Principal,
        query: &SearchQuery,
    ) -> Result<(Vec<Place>, Option<Narrowed>), Error> {
        let places = places::places(&self.documents, principal, query).await?;
        let most = self.config.scored_passages;
        let narrowed = Narrowed::by_filter(&self.documents, &principal.tenant, &places, query, most).await?;
        Ok((places, narrowed))
    }

    /// Puts the best in order once more, if somebody is there to do it. Whether that failed: the order is then as it was.
    async fn rerank(&self, query: &SearchQuery, ranked: &mut [Candidate]) -> bool {
        let Some(reranker) = self.reranker.as_ref().filter(|_| ranked.len() > 1) else { return false };
        let outcome = reranked::rerank(reranker, &query.query, ranked).await;
        if let Err(error) = &outcome {
            tracing::warn!(%error, "passages stay in the order they had");
        }
        outcome.is_err()
    }
}

/// Takes the time of the stages.
struct Clock {
    last: Instant,
    stages: Vec<(&'static str, Duration)>,
}

impl Clock {
    fn start() -> Self {
        Self { last: Instant::now(), stages: Vec::new() }
    }

    fn lap(&mut self, stage: &'static str) {
        let now = Instant::now();
        metrics::SEARCH_STAGE.took_of(stage, now - self.last);
        self.stages.push((stage, now - self.last));
        self.last = now;
    }
}
