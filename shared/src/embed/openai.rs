use async_trait::async_trait;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{EmbedError, Embedder, normalise};
use crate::clients::{ClientError, IDLE_LIMIT};
use crate::config::EmbeddingConfig;

/// Texts in one call.
const BATCH: usize = 64;

/// Any server that speaks `POST /embeddings` of OpenAI's API.
pub(super) struct OpenaiEmbedder {
    http: reqwest::Client,
    url: Url,
    api_key: Option<String>,
    model: String,
    dimensions: usize,
    window: usize,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    index: usize,
    embedding: Vec<f32>,
}

impl OpenaiEmbedder {
    pub(super) fn new(config: &EmbeddingConfig) -> Result<Self, ClientError> {
        let wrong = |text: String| ClientError::Build(format!("OPENAI_BASE_URL: {text}"));
        let base = config.openai_base_url.as_ref().ok_or_else(|| wrong("is not set".to_owned()))?;
        let url = format!("{}/embeddings", base.as_str().trim_end_matches('/'));
        Ok(Self {
            http: reqwest::Client::builder()
                .timeout(config.timeout)
                .pool_idle_timeout(IDLE_LIMIT)
                .build()
                .map_err(|error| wrong(error.to_string()))?,
            url: Url::parse(&url).map_err(|error| wrong(error.to_string()))?,
            api_key: config.openai_api_key.clone(),
            model: config.model.clone(),
            dimensions: config.dimensions,
            window: config.window_tokens,
        })
    }

    async fn embed_batch(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let unavailable = |error: reqwest::Error| EmbedError::Unavailable(error.without_url().to_string());
        let mut request = self.http.post(self.url.clone()).json(&Request {
            model: &self.model,
            input: texts,
            encoding_format: "float",
        });
        if let Some(key) = &self.api_key {
            request = request.bearer_auth(key);
        }
        let answer = request.send().await.map_err(unavailable)?;
        let status = answer.status();
        if status == StatusCode::BAD_REQUEST || status == StatusCode::PAYLOAD_TOO_LARGE {
            return Err(EmbedError::Refused(format!("status {status}")));
        }
        let mut entries =
            answer.error_for_status().map_err(unavailable)?.json::<Answer>().await.map_err(unavailable)?.data;
        entries.sort_unstable_by_key(|entry| entry.index);
        if entries.len() != texts.len() || entries.iter().any(|entry| entry.embedding.len() != self.dimensions) {
            return Err(EmbedError::Unavailable(format!(
                "expected {} vectors of {} numbers",
                texts.len(),
                self.dimensions
            )));
        }
        Ok(entries
            .into_iter()
            .map(|mut entry| {
                normalise(&mut entry.embedding);
                entry.embedding
            })
            .collect())
    }
}

#[async_trait]
impl Embedder for OpenaiEmbedder {
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
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            vectors.extend(self.embed_batch(batch).await?);
        }
        Ok(vectors)
    }
}
