//! The candidates by meaning.

use std::sync::Arc;

use futures::future::try_join_all;

use super::Retriever;
use super::candidate::Candidate;
use super::narrowed::{Narrowed, Way};
use super::places::Place;
use super::query::SearchQuery;
use crate::chunks::MAX_NEAREST;
use crate::embed::{Model, QueryEmbeddings};
use crate::error::Error;
use crate::tenancy::Principal;

/// The vector of a query, by the model that searches.
pub(super) struct QueryVector<'a> {
    pub(super) model: &'a Model,
    pub(super) numbers: Vec<f32>,
}

impl Retriever {
    /// The model to search with, and the one to ask if its index does not answer. All places are searched with one model, since
    /// similarities by different models cannot be compared. While documents are re-embedded, the model before has all of them,
    /// and the current one has all of some collections.
    pub(super) fn models_for(&self, principal: &Principal, query: &SearchQuery) -> (&Model, Option<&Model>) {
        let current = &self.models.current;
        let Some(previous) = &self.models.previous else { return (current, None) };
        let mut asked = principal.collections.keys().filter(|id| query.asks(id));
        if asked.all(|id| principal.finds(id, current.edition)) {
            (current, Some(previous))
        } else {
            (previous, Some(current))
        }
    }

    pub(super) async fn vector<'a>(
        &self,
        principal: &Principal,
        query: &SearchQuery,
        model: &'a Model,
    ) -> Result<QueryVector<'a>, Error> {
        let queries = QueryEmbeddings::new(Arc::clone(&model.embedder), &self.redis);
        Ok(QueryVector { model, numbers: queries.embed(&principal.tenant, &query.query).await? })
    }

    /// The nearest passages of what is searched; `None` if the index of the model does not answer.
    pub(super) async fn candidates(
        &self,
        principal: &Principal,
        places: &[Place],
        narrowed: Option<&Narrowed>,
        vector: &QueryVector<'_>,
    ) -> Result<Option<Vec<Candidate>>, Error> {
        match narrowed.map(|narrowed| (narrowed, narrowed.way)) {
            Some((narrowed, Way::OneByOne)) => self.one_by_one(principal, narrowed, vector).await.map(Some),
            Some((narrowed, Way::ByDocument)) => self.nearest(principal, &narrowed.places(), vector).await,
            Some((_, Way::Whole)) | None => self.nearest(principal, places, vector).await,
        }
    }

    /// The nearest of the passages that pass, without the index.
    pub(super) async fn one_by_one(
        &self,
        principal: &Principal,
        narrowed: &Narrowed,
        vector: &QueryVector<'_>,
    ) -> Result<Vec<Candidate>, Error> {
        let (names, edition) = (narrowed.passages(), vector.model.edition);
        let hits = self.chunks.scored(&principal.tenant, &names, edition, &vector.numbers, MAX_NEAREST).await?;
        Ok(hits.into_iter().map(Candidate::from).collect())
    }

    async fn nearest(
        &self,
        principal: &Principal,
        places: &[Place],
        vector: &QueryVector<'_>,
    ) -> Result<Option<Vec<Candidate>>, Error> {
        let searches = places.iter().map(|Place { collection, document }| {
            self.chunks.nearest(&principal.tenant, collection, *document, vector.model.edition, &vector.numbers)
        });
        let found: Option<Vec<_>> = try_join_all(searches).await?.into_iter().collect();
        Ok(found.map(|hits| hits.into_iter().flatten().map(Candidate::from).collect()))
    }
}
