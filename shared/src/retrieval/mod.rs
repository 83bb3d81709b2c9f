//! Finding passages: one vector search in each collection the caller may read, then the passages' own words.
//!
//! The lexical score is BM25 over the candidates of the vector search, with their own document frequencies, fused with the
//! vector score by a convex combination. That equals a full hybrid index on the usual test collections, with no index to
//! keep.

mod bm25;
mod fusion;
mod words;

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::try_join_all;
use serde::Serialize;
use utoipa::ToSchema;

pub use words::content_words;

use crate::chunks::{Chunks, Hit};
use crate::clients::{DynamoDb, Redis};
use crate::config::SearchConfig;
use crate::documents::{Document, Documents};
use crate::embed::{Model, Models, QueryEmbeddings};
use crate::error::Error;
use crate::tenancy::{CollectionId, DocumentId, Principal};

/// What to look for, and where.
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
    /// Whether it asks this collection, if the caller may read it.
    fn asks(&self, collection: &CollectionId) -> bool {
        self.collections.is_empty() || self.collections.contains(collection)
    }
}

/// How passages are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SearchMode)]
pub enum Mode {
    /// By meaning and by words.
    #[default]
    Hybrid,
    /// By meaning alone.
    Semantic,
}

/// A passage that was found.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize, ToSchema)]
pub struct Passage {
    /// Names the passage.
    pub chunk_id: String,
    /// The document it stands in.
    pub document_id: DocumentId,
    /// That document's name.
    pub filename: String,
    /// That document's collection.
    pub collection: CollectionId,
    /// The page it begins on, where there are pages.
    #[schema(required)]
    pub page: Option<u32>,
    /// The headings above it.
    #[schema(required)]
    pub heading: Option<String>,
    /// Where it stands in the document's text.
    pub span: Span,
    /// What it says.
    pub text: String,
    /// How well it fits, from 0 to 1; comparable within one answer only.
    pub score: f32,
}

/// A range of characters (Unicode scalar values) of a document's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
pub struct Span {
    /// The first.
    pub start: u32,
    /// One behind the last.
    pub end: u32,
}

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
        let (vector, places) = futures::try_join!(self.vector(principal, query, first), self.places(principal, query))?;
        let mut hits = self.nearest(principal, &places, first, &vector).await?;
        if let (None, Some(second)) = (&hits, second) {
            let vector = self.vector(principal, query, second).await?;
            hits = self.nearest(principal, &places, second, &vector).await?;
        }
        let hits = hits.ok_or_else(|| Error::unavailable("no vector index answers"))?;
        let documents = self.documents.get_many(&principal.tenant, hits.iter().map(|hit| hit.document_id)).await?;
        let hits: Vec<Hit> = hits.into_iter().filter(|hit| is_current(hit, &documents, &places)).collect();

        let lexical = match query.mode {
            Mode::Hybrid => bm25::scores(&query.query, hits.iter().map(searchable)),
            Mode::Semantic => vec![0.0; hits.len()],
        };
        let weight = if query.mode == Mode::Hybrid { self.config.lexical_weight } else { 0.0 };
        let dense: Vec<f32> = hits.iter().map(|hit| hit.similarity).collect();
        let ranked = fusion::rank(&dense, &lexical, weight);
        Ok(ranked
            .into_iter()
            .take(query.limit)
            .filter_map(|(place, score)| {
                let hit = &hits[place];
                Some(passage(hit, documents.get(&hit.document_id)?, score))
            })
            .collect())
    }

    /// The model to search with, and the one to ask if its index does not answer. All places are searched with one model, since
    /// similarities by different models cannot be compared. While documents are re-embedded, the model before has all of them,
    /// and the current one has all of some collections.
    fn models_for(&self, principal: &Principal, query: &SearchQuery) -> (&Model, Option<&Model>) {
        let current = &self.models.current;
        let Some(previous) = &self.models.previous else { return (current, None) };
        let mut asked = principal.collections.keys().filter(|id| query.asks(id));
        if asked.all(|id| principal.finds(id, current.edition)) {
            (current, Some(previous))
        } else {
            (previous, Some(current))
        }
    }

    async fn vector(&self, principal: &Principal, query: &SearchQuery, model: &Model) -> Result<Vec<f32>, Error> {
        let queries = QueryEmbeddings::new(Arc::clone(&model.embedder), &self.redis);
        queries.embed(&principal.tenant, &query.query).await
    }

    /// The nearest passages of all places; `None` if the index of the model does not answer.
    async fn nearest(
        &self,
        principal: &Principal,
        places: &[Place],
        model: &Model,
        vector: &[f32],
    ) -> Result<Option<Vec<Hit>>, Error> {
        let searches = places.iter().map(|Place { collection, document }| {
            self.chunks.nearest(&principal.tenant, collection, *document, model.edition, vector)
        });
        let found: Option<Vec<Vec<Hit>>> = try_join_all(searches).await?.into_iter().collect();
        Ok(found.map(|hits| hits.into_iter().flatten().collect()))
    }

    /// Where to look: the collections asked for that the caller may read, or the documents asked for that are in them.
    async fn places(&self, principal: &Principal, query: &SearchQuery) -> Result<Vec<Place>, Error> {
        if let Some(unknown) = query.collections.iter().position(|id| !principal.reads(id)) {
            return Err(Error::field(format!("/collections/{unknown}"), "there is no such collection"));
        }
        if query.document_ids.is_empty() {
            let asked = principal.collections.keys().filter(|id| query.asks(id));
            return Ok(asked.map(|id| Place { collection: id.clone(), document: None }).collect());
        }
        let mut documents = self.documents.get_many(&principal.tenant, query.document_ids.iter().copied()).await?;
        // What the caller may not read is to the caller as if it were not there.
        documents.retain(|_, document| principal.reads(&document.collection));
        if let Some(unknown) = query.document_ids.iter().position(|id| !documents.contains_key(id)) {
            return Err(Error::field(format!("/document_ids/{unknown}"), "there is no such document"));
        }
        Ok(documents
            .into_values()
            .filter(|document| query.asks(&document.collection))
            .map(|document| Place { collection: document.collection, document: Some(document.id) })
            .collect())
    }
}

/// One partition of the vector index, or one document in it.
#[derive(Debug)]
struct Place {
    collection: CollectionId,
    document: Option<DocumentId>,
}

/// Whether the passage is of the version its document serves, in a collection that was asked for. The index lags behind
/// the documents, so a deleted or replaced one may still be in it.
fn is_current(hit: &Hit, documents: &HashMap<DocumentId, Document>, places: &[Place]) -> bool {
    documents.get(&hit.document_id).is_some_and(|document| {
        document.served_version == Some(hit.chunk.version)
            && places.iter().any(|place| place.collection == document.collection)
    })
}

/// The words by which a passage is found: its headings and its text.
fn searchable(hit: &Hit) -> String {
    match &hit.chunk.heading {
        Some(heading) => format!("{heading}\n{}", hit.chunk.text),
        None => hit.chunk.text.clone(),
    }
}

fn passage(hit: &Hit, document: &Document, score: f32) -> Passage {
    Passage {
        chunk_id: hit.chunk.id(hit.document_id),
        document_id: hit.document_id,
        filename: document.filename.clone(),
        collection: document.collection.clone(),
        page: hit.chunk.page,
        heading: hit.chunk.heading.clone(),
        span: Span { start: hit.chunk.span_start, end: hit.chunk.span_end },
        text: hit.chunk.text.clone(),
        score,
    }
}
