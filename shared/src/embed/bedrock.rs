use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_bedrockruntime::primitives::Blob;
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{EmbedError, Embedder};
use crate::config::EmbeddingConfig;
use crate::error::said;

/// Titan takes one text a call; so many calls run side by side.
const CONCURRENCY: usize = 8;

/// Amazon Titan Text Embeddings v2.
pub(super) struct BedrockEmbedder {
    client: Client,
    model: String,
    dimensions: usize,
    window: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TitanRequest<'a> {
    input_text: &'a str,
    dimensions: usize,
    normalize: bool,
}

#[derive(Deserialize)]
struct TitanAnswer {
    embedding: Vec<f32>,
}

impl BedrockEmbedder {
    pub(super) fn new(config: &EmbeddingConfig, aws: &SdkConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(config.timeout)
            .operation_timeout(config.timeout * 3)
            .build();
        let settings = aws_sdk_bedrockruntime::config::Builder::from(aws).timeout_config(timeouts).build();
        Self {
            client: Client::from_conf(settings),
            model: config.model.clone(),
            dimensions: config.dimensions,
            window: config.window_tokens,
        }
    }

    async fn embed_one(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let request = TitanRequest { input_text: text, dimensions: self.dimensions, normalize: true };
        let body = serde_json::to_vec(&request).map_err(|error| EmbedError::Refused(error.to_string()))?;
        let answer = self
            .client
            .invoke_model()
            .model_id(&self.model)
            .content_type("application/json")
            .body(Blob::new(body))
            .send()
            .await
            .map_err(|error| {
                match &error {
                    // What it says may quote the text.
                    SdkError::ServiceError(service) if matches!(service.err().code(), Some("ValidationException")) => {
                        EmbedError::Refused("ValidationException".to_owned())
                    }
                    _ => EmbedError::Unavailable(said(&error)),
                }
            })?;
        let answer: TitanAnswer =
            serde_json::from_slice(answer.body.as_ref()).map_err(|error| EmbedError::Unavailable(error.to_string()))?;
        Ok(answer.embedding)
    }
}

#[async_trait]
impl Embedder for BedrockEmbedder {
    fn model(&self) -> &str {
        &self.model
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn window(&self) -> usize {
        self.window
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let calls: Vec<_> = texts.iter().map(|text| self.embed_one(text)).collect();
        stream::iter(calls).buffered(CONCURRENCY).try_collect().await
    }
}
