use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::{Embedder, vectors};
use crate::clients::{CacheError, Redis};
use crate::error::Error;
use crate::metrics;
use crate::tenancy::TenantId;

/// How long the vector of a query is kept, in seconds. It never becomes wrong, only unused.
const KEEP_SECONDS: u64 = 24 * 60 * 60;

/// The vectors of queries, from the cache where it has them: people ask the same things.
#[derive(Clone)]
pub struct QueryEmbeddings {
    embedder: Arc<dyn Embedder>,
    redis: Redis,
}

impl QueryEmbeddings {
    /// The embedder behind this cache.
    pub fn new(embedder: Arc<dyn Embedder>, redis: &Redis) -> Self {
        Self { embedder, redis: redis.clone() }
    }

    /// The vector of a query. A cache that is away costs time, nothing else.
    pub async fn embed(&self, tenant: &TenantId, query: &str) -> Result<Vec<f32>, Error> {
        let key = self.key(tenant, query);
        let cached: Result<Option<Vec<u8>>, _> = self.redis.query(redis::cmd("GET").arg(&key)).await;
        if let Some(vector) = or_log(cached).flatten().and_then(|bytes| self.decode(&bytes)) {
            metrics::QUERY_VECTORS.add_of("cache", 1);
            return Ok(vector);
        }
        metrics::QUERY_VECTORS.add_of("embedder", 1);
        let vectors = vectors(self.embedder.as_ref(), &[query.to_owned()]).await?;
        let vector = vectors.into_iter().next().ok_or_else(|| Error::internal("the embedder gave no vector"))?;
        let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
        let stored: Result<(), _> =
            self.redis.query(redis::cmd("SET").arg(&key).arg(bytes).arg("EX").arg(KEEP_SECONDS)).await;
        or_log(stored);
        Ok(vector)
    }

    /// The tenant is the hash tag, so that all its keys are in one slot of a cluster. The query itself is hashed: what
    /// people ask does not stand in the cache.
    fn key(&self, tenant: &TenantId, query: &str) -> String {
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(query.as_bytes()));
        format!("{{{tenant}}}:embedding:{}:{}:{digest}", self.embedder.model(), self.embedder.dimensions())
    }

    fn decode(&self, bytes: &[u8]) -> Option<Vec<f32>> {
        let (numbers, rest) = bytes.as_chunks::<4>();
        (rest.is_empty() && numbers.len() == self.embedder.dimensions())
            .then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
    }
}

/// The value; the request goes on without the cache if there is none.
fn or_log<T>(answer: Result<T, CacheError>) -> Option<T> {
    answer.inspect_err(|error| tracing::debug!(%error, "the cache of query vectors did not answer")).ok()
}
