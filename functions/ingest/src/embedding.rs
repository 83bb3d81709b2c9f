//! From passages to the index: vectors are asked for in batches, and each batch is written as soon as it has them, so that
//! what was paid for is not lost when the worker is.

use std::collections::HashMap;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use shared::chunks::{Embedded, Fingerprint, Vector, Vectors};
use shared::clients::BlobKey;
use shared::documents::Document;
use shared::embed::{self, EmbedError, Embedder, Model, estimated_tokens};
use shared::error::Error;

use crate::State;
use crate::chunk::Passage;

/// Attempts at the vectors of a batch.
const ATTEMPTS: u32 = 5;
/// The longest pause after the first attempt; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause of all.
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// Why passages were not written.
#[derive(Debug)]
pub(crate) enum NotStored {
    /// The embedder refuses them, or is away.
    NotEmbedded(EmbedError),
    /// They have vectors, and the database is away.
    NotWritten(Error),
}

/// Writes the passages of a version with their vectors, of each model, to the collection that `document` is in. A text that a model has looked
/// at already, for this version or for one before, keeps its vector. The number of tokens that this version took.
pub(crate) async fn store(
    state: &State,
    key: &BlobKey,
    document: &Document,
    passages: Vec<Passage>,
) -> Result<usize, NotStored> {
    let mut known = Vec::new();
    for model in state.models.all() {
        let vectors = state.chunks.vectors(&key.tenant, key.document, key.version, model.edition).await;
        known.push((model, vectors.map_err(NotStored::NotWritten)?));
    }
    stream::iter(batches(passages, state.config.embed_batch))
        .map(|batch| store_batch(state, key, document, batch, &known))
        .buffer_unordered(state.config.embed_concurrency)
        .try_fold(0, async |sum, tokens| Ok(sum + tokens))
        .await
}

fn batches(passages: Vec<Passage>, size: usize) -> Vec<Vec<(u32, Passage)>> {
    let mut numbered = (0..).zip(passages).peekable();
    let mut batches = Vec::new();
    while numbered.peek().is_some() {
        batches.push(numbered.by_ref().take(size).collect());
    }
    batches
}

async fn store_batch(
    state: &State,
    key: &BlobKey,
    document: &Document,
    batch: Vec<(u32, Passage)>,
    known: &[(&Model, Vectors)],
) -> Result<usize, NotStored> {
    let mut tokens = 0;
    let mut of_models = Vec::new();
    for (model, known) in known {
        let (vectors, new_tokens) = vectors_by(model, &batch, known).await?;
        // Nobody pays for the model before.
        if model.edition == state.models.current.edition {
            tokens = new_tokens;
        }
        of_models.push(vectors.into_iter());
    }
    let chunks = batch.into_iter().map(|(index, passage)| Embedded {
        vectors: of_models.iter_mut().filter_map(Iterator::next).collect(),
        source: passage.embedded.clone(),
        terms: passage.terms.clone(),
        chunk: passage.into_chunk(key.version, index),
    });
    let chunks: Vec<Embedded> = chunks.collect();
    let written = state.chunks.put(&key.tenant, &document.collection, key.document, &chunks).await;
    written.map_err(NotStored::NotWritten)?;
    Ok(tokens)
}

/// The vectors of passages by one model, in their order, and how many tokens the version takes for them.
async fn vectors_by(
    model: &Model,
    batch: &[(u32, Passage)],
    known: &Vectors,
) -> Result<(Vec<Vector>, usize), NotStored> {
    let embedder = model.embedder.as_ref();
    let fingerprints: Vec<Fingerprint> =
        batch.iter().map(|(_, passage)| Fingerprint::of(&passage.embedded, embedder)).collect();
    let is_new = |fingerprint: &Fingerprint| !known.others.contains_key(fingerprint);
    let tokens = batch.iter().zip(&fingerprints).filter(|(_, fingerprint)| is_new(fingerprint));
    let tokens = tokens.map(|((_, passage), _)| estimated_tokens(&passage.embedded)).sum();

    let lacking = batch.iter().zip(&fingerprints);
    let lacking = lacking.filter(|(_, fingerprint)| is_new(fingerprint) && !known.own.contains_key(fingerprint));
    let (texts, of): (Vec<String>, Vec<Fingerprint>) =
        lacking.map(|((_, passage), fingerprint)| (passage.embedded.clone(), fingerprint.clone())).unzip();
    let new = if texts.is_empty() { Vec::new() } else { vectors(embedder, &texts).await? };
    let new: HashMap<Fingerprint, Vec<f32>> = of.into_iter().zip(new).collect();

    let vectors = fingerprints.into_iter().map(|fingerprint| {
        let places = [&new, &known.own, &known.others];
        let numbers = places.into_iter().find_map(|vectors| vectors.get(&fingerprint)).cloned();
        let numbers = numbers.ok_or_else(|| NotStored::NotWritten(Error::internal("a passage without its vector")))?;
        Ok(Vector { edition: model.edition, fingerprint, numbers })
    });
    Ok((vectors.collect::<Result<_, _>>()?, tokens))
}

/// Asks again after a while if the embedder is away or overloaded. The pauses are random, so that workers that were refused
/// together do not come back together ("full jitter").
pub(crate) async fn vectors(embedder: &dyn Embedder, texts: &[String]) -> Result<Vec<Vec<f32>>, NotStored> {
    for attempt in 1.. {
        match embed::vectors(embedder, texts).await {
            Ok(vectors) if vectors.len() == texts.len() => return Ok(vectors),
            Ok(_) => {
                let reason = EmbedError::Unavailable("other than one vector for each text".to_owned());
                return Err(NotStored::NotEmbedded(reason));
            }
            Err(EmbedError::Unavailable(reason)) if attempt < ATTEMPTS => {
                tracing::warn!(reason, attempt, "the embedder is asked again");
                tokio::time::sleep(longest_pause(attempt).mul_f32(fastrand::f32())).await;
            }
            Err(error) => return Err(NotStored::NotEmbedded(error)),
        }
    }
    unreachable!("the last attempt returns")
}

fn longest_pause(attempt: u32) -> Duration {
    (FIRST_PAUSE * 2_u32.saturating_pow(attempt - 1)).min(LAST_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;

    use super::*;

    /// Away for some calls.
    struct Flaky(AtomicU32);

    #[async_trait]
    impl Embedder for Flaky {
        fn model(&self) -> &'static str {
            "flaky"
        }

        fn dimensions(&self) -> usize {
            1
        }

        fn window(&self) -> usize {
            256
        }

        async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
            let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            match left {
                Ok(_) => Err(EmbedError::Unavailable("throttled".to_owned())),
                Err(_) => Ok(vec![vec![1.0]; texts.len()]),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_embedder_that_is_overloaded_is_asked_again_for_a_while() {
        let texts = ["duck".to_owned()];
        assert_eq!(vectors(&Flaky(AtomicU32::new(ATTEMPTS - 1)), &texts).await.unwrap(), [[1.0]]);
        let away = Flaky(AtomicU32::new(ATTEMPTS + 1));
        assert!(matches!(vectors(&away, &texts).await, Err(NotStored::NotEmbedded(EmbedError::Unavailable(_)))));
        assert_eq!(away.0.into_inner(), 1, "and no longer");
    }

    #[test]
    fn pauses_grow_to_the_longest() {
        assert_eq!(
            [1, 2, 3, 5, 6, 40].map(|attempt| longest_pause(attempt).as_millis()),
            [200, 400, 800, 3200, 5000, 5000]
        );
    }
}
