use async_trait::async_trait;
use serde::Serialize;
use url::Url;

use super::{Model, Relevances, RerankError};
use crate::clients::{ClientError, IDLE_LIMIT};
use crate::config::RerankConfig;

/// Any server that speaks Cohere's `POST /v1/rerank` or `/v2/rerank`, whose requests and answers are the same as far as they
/// are used here.
pub(super) struct Cohere {
    http: reqwest::Client,
    url: Url,
    api_key: Option<String>,
    model: String,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    query: &'a str,
    documents: &'a [String],
    top_n: usize,
}

impl Cohere {
    pub(super) fn new(config: &RerankConfig, url: &Url) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder().timeout(config.budget).pool_idle_timeout(IDLE_LIMIT).build();
        Ok(Self {
            http: http.map_err(|error| ClientError::Build(format!("RERANK_URL: {error}")))?,
            url: url.clone(),
            api_key: config.api_key.clone(),
            model: config.model.clone(),
        })
    }
}

#[async_trait]
impl Model for Cohere {
    async fn relevances(&self, query: &str, passages: &[String]) -> Result<Relevances, RerankError> {
        // The address may hold a password.
        let failed = |error: reqwest::Error| RerankError::Failed(error.without_url().to_string());
        let body = Request { model: &self.model, query, documents: passages, top_n: passages.len() };
        let mut request = self.http.post(self.url.clone()).json(&body);
        if let Some(key) = &self.api_key {
            request = request.bearer_auth(key);
        }
        let answer = request.send().await.map_err(failed)?.error_for_status().map_err(failed)?;
        let bytes = answer.bytes().await.map_err(failed)?;
        serde_json::from_slice(&bytes).map_err(|error| RerankError::Nonsense(error.to_string()))
    }
}
