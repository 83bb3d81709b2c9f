use std::sync::Arc;

use shared::clients::LlmClient;
use shared::config::{LlmConfig, LlmKind};

use super::bedrock::Bedrock;
use super::openai::Openai;
use super::{Llm, LlmError, Prompt, Turn};

/// The language models of the deployment.
#[derive(Clone)]
pub struct Models {
    config: Arc<LlmConfig>,
    provider: Option<Arc<dyn Llm>>,
}

impl Models {
    /// Those of the configuration, behind the client of their provider if they have one.
    pub fn new(config: &Arc<LlmConfig>, client: Option<LlmClient>) -> Self {
        let provider = client.map(|client| -> Arc<dyn Llm> {
            let config = Arc::clone(config);
            match client {
                LlmClient::Bedrock(client) => Arc::new(Bedrock::new(client, config)),
                LlmClient::Openai { http, base } => Arc::new(Openai::new(http, &base, config)),
            }
        });
        Self { config: Arc::clone(config), provider }
    }

    /// Begins a turn of the model that the prompt names.
    pub(crate) async fn turn(&self, prompt: Prompt) -> Result<Turn, LlmError> {
        match &self.provider {
            Some(provider) if self.config.kind_of(&prompt.model) != LlmKind::Extractive => provider.turn(prompt).await,
            _ => Err(LlmError::new(shared::error::ModelFault::Refused, "no model")),
        }
    }
}
