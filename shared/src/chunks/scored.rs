//! Passages that are compared with a vector one by one, without the index: few of many, by their keys.

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use futures::stream::{self, StreamExt, TryStreamExt};

use super::nearest::projection;
use super::{ChunkKey, Chunks, Hit};
use crate::editions::Edition;
use crate::error::Error;
use crate::tables::Key;
use crate::tenancy::TenantId;

/// `BatchGetItem` takes this many keys. With vectors of 1,024 numbers they bring 2 MB, of the 16 MB that it may.
const BATCH: usize = 100;
/// Batches that are read side by side: each is some 10 MB in memory until its vectors are compared.
const SIDE_BY_SIDE: usize = 6;
/// Rounds for what a busy table left out.
const ROUNDS: usize = 4;

impl Chunks {
    /// Those of the passages that are there, each with its similarity to a vector, 0 if it has none of the edition: the nearest
    /// `most` of them, best first.
    pub async fn scored(
        &self,
        tenant: &TenantId,
        keys: &[ChunkKey],
        edition: Edition,
        vector: &[f32],
        most: usize,
    ) -> Result<Vec<Hit>, Error> {
        let batches: Vec<_> = keys.chunks(BATCH).map(|keys| self.scored_batch(tenant, keys, edition, vector)).collect();
        let best = |mut hits: Vec<Hit>, batch| async move {
            hits.extend(batch);
            hits.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
            hits.truncate(most);
            Ok(hits)
        };
        stream::iter(batches).buffered(SIDE_BY_SIDE).try_fold(Vec::new(), best).await
    }

    async fn scored_batch(
        &self,
        tenant: &TenantId,
        keys: &[ChunkKey],
        edition: Edition,
        vector: &[f32],
    ) -> Result<Vec<Hit>, Error> {
        let attribute = edition.vector();
        let key = |key: &ChunkKey| Key::chunk(tenant, key.document, key.version, key.index).attributes();
        let mut keys: Vec<_> = keys.iter().map(key).collect();
        let mut hits = Vec::with_capacity(keys.len());
        for _ in 0..ROUNDS {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .projection_expression(format!("{}, #vector", projection()))
                .expression_attribute_names("#text", "text")
                .expression_attribute_names("#vector", &attribute)
                .build()
                .map_err(Error::internal)?;
            let answer = self.dynamodb.client.batch_get_item().request_items(&self.dynamodb.chunks_table, wanted);
            let answer = answer.send().await?;
            for mut item in answer.responses.unwrap_or_default().into_values().flatten() {
                let similarity = item.remove(&attribute).and_then(|numbers| similarity(&numbers, vector));
                hits.push(Hit::from_item(item, similarity.unwrap_or_default())?);
            }
            keys = answer.unprocessed_keys.unwrap_or_default().into_values().flat_map(|rest| rest.keys).collect();
            if keys.is_empty() {
                return Ok(hits);
            }
        }
        Err(Error::unavailable("BatchGetItem left keys unprocessed"))
    }
}

/// The cosine of two vectors, of which the second has unit length, as the index computes it; `None` if they do not compare.
fn similarity(numbers: &AttributeValue, vector: &[f32]) -> Option<f32> {
    let numbers = numbers.as_l().ok().filter(|numbers| numbers.len() == vector.len())?;
    let (mut product, mut square) = (0.0_f64, 0.0_f64);
    for (number, other) in numbers.iter().zip(vector) {
        let number: f64 = number.as_n().ok()?.parse().ok()?;
        product += number * f64::from(*other);
        square += number * number;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the index computes with f32 as well")]
    (square > 0.0).then(|| (product / square.sqrt()) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables;

    #[test]
    fn the_similarity_is_the_cosine() {
        let of = |numbers: &[f32], vector: &[f32]| similarity(&AttributeValue::L(tables::vector(numbers)), vector);
        assert_eq!(of(&[0.6, 0.8], &[0.6, 0.8]), Some(1.0));
        assert_eq!(of(&[3.0, 0.0], &[0.6, 0.8]), Some(0.6));
        assert_eq!(of(&[-0.6, -0.8], &[0.6, 0.8]), Some(-1.0));
        assert_eq!(of(&[0.0, 0.0], &[0.6, 0.8]), None);
        assert_eq!(of(&[1.0], &[0.6, 0.8]), None);
    }
}
