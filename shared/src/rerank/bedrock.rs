use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::primitives::Blob;
use serde::Serialize;

use super::{Model, Relevances, RerankError};
use crate::config::RerankConfig;
use crate::error::said;

/// A rerank model on Amazon Bedrock, Cohere's or Amazon's, by the runtime that embeds as well: their own `Rerank` operation is
/// in another service, whose client would be one more in the binary.
pub(super) struct Bedrock {
    client: Client,
    model: String,
}

#[derive(Serialize)]
struct Request<'a> {
    query: &'a str,
    documents: &'a [String],
    top_n: usize,
    /// Cohere's models want at least 2; Amazon's know no such member.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<u8>,
}

impl Bedrock {
    pub(super) fn new(config: &RerankConfig, aws: &SdkConfig) -> Self {
        let timeouts = TimeoutConfig::builder().operation_timeout(config.budget).build();
        let settings = aws_sdk_bedrockruntime::config::Builder::from(aws).timeout_config(timeouts).build();
        Self { client: Client::from_conf(settings), model: config.model.clone() }
    }
}

#[async_trait]
impl Model for Bedrock {
    async fn relevances(&self, query: &str, passages: &[String]) -> Result<Relevances, RerankError> {
        let api_version = self.model.contains("cohere.").then_some(2);
        let body = Request { query, documents: passages, top_n: passages.len(), api_version };
        let body = serde_json::to_vec(&body).map_err(|error| RerankError::Nonsense(error.to_string()))?;
        let call =
            self.client.invoke_model().model_id(&self.model).content_type("application/json").body(Blob::new(body));
        let answer = call.send().await.map_err(|error| RerankError::Failed(said(&error)))?;
        serde_json::from_slice(answer.body.as_ref()).map_err(|error| RerankError::Nonsense(error.to_string()))
    }
}
