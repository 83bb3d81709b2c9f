use async_trait::async_trait;
use sha2::{Digest, Sha256};
use unicode_segmentation::UnicodeSegmentation;

use super::{EmbedError, Embedder, normalise};

/// The feature-hashing trick: each word adds one to a few places of the vector that its hash picks, with a sign. Texts
/// that share words are near each other. Exact, instant and without weights, which is what tests need.
pub struct HashingEmbedder {
    dimensions: usize,
}

impl HashingEmbedder {
    /// An embedder with vectors of this length.
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions }
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; self.dimensions];
        for word in text.unicode_words() {
            let hash = Sha256::digest(word.to_lowercase().as_bytes());
            for place in hash.as_slice().chunks_exact(8) {
                let number = place.iter().fold(0_usize, |number, byte| (number << 8) | usize::from(*byte));
                vector[(number >> 1) % self.dimensions] += if number & 1 == 0 { 1.0 } else { -1.0 };
            }
        }
        normalise(&mut vector);
        vector
    }
}

#[async_trait]
impl Embedder for HashingEmbedder {
    fn model(&self) -> &'static str {
        "hashing"
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn window(&self) -> usize {
        256
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_share_words_are_near() {
        let embedder = HashingEmbedder::new(384);
        let cosine =
            |a: &str, b: &str| -> f32 { embedder.vector(a).iter().zip(embedder.vector(b)).map(|(x, y)| x * y).sum() };
        assert!(cosine("the duck swims", "Swims, the duck!") > 0.999);
        assert!(cosine("the duck swims", "the duck flies") > 0.4);
        assert!(cosine("the duck swims", "quarterly revenue grew").abs() < 0.4);
    }
}
