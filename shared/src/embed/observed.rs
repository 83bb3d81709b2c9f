use std::sync::Arc;

use async_trait::async_trait;
use tracing::Instrument;

use super::{EmbedError, Embedder, estimated_tokens};
use crate::telemetry;

/// An embedder whose calls stand in traces.
pub(super) struct Observed {
    embedder: Arc<dyn Embedder>,
    provider: &'static str,
}

impl Observed {
    /// The same embedder, by a provider named as OpenTelemetry's conventions do.
    pub(super) fn new(embedder: Arc<dyn Embedder>, provider: &'static str) -> Self {
        Self { embedder, provider }
    }
}

#[async_trait]
impl Embedder for Observed {
    fn model(&self) -> &str {
        self.embedder.model()
    }

    fn dimensions(&self) -> usize {
        self.embedder.dimensions()
    }

    fn window(&self) -> usize {
        self.embedder.window()
    }

    fn tokens(&self, text: &str) -> usize {
        self.embedder.tokens(text)
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let step = telemetry::embeddings(self.provider, self.model(), self.dimensions(), texts.len());
        let vectors = self.embedder.embed(texts).instrument(step.span().clone()).await;
        match &vectors {
            Ok(_) if step.is_recorded() => step.used(texts.iter().map(|text| estimated_tokens(text) as u64).sum(), 0),
            Ok(_) => {}
            Err(EmbedError::Unavailable(_)) => step.failed("unavailable"),
            Err(EmbedError::Refused(_)) => step.failed("refused"),
        }
        vectors
    }
}
