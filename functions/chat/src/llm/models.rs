use std::sync::Arc;

use shared::clients::LlmClient;
use shared::config::{LlmConfig, LlmKind};

use super::bedrock::Bedrock;
use super::openai::Openai;
use super::{Extractive, Llm, LlmError, Prompt, Turn};

/// The language models of the deployment.
#[derive(Clone)]
pub struct Models {
    config: Arc<LlmConfig>,
    extractive: Arc<dyn Llm>,
    provider: Arc<dyn Llm>,
}

impl Models {
    /// Those of the configuration, behind the client of their provider if they have one.
    pub fn new(config: &Arc<LlmConfig>, client: Option<LlmClient>) -> Self {
        let extractive: Arc<dyn Llm> = Arc::new(Extractive);
        let provider = match client {
            None => Arc::clone(&extractive),
            Some(LlmClient::Bedrock(client)) => Arc::new(Bedrock::new(client, Arc::clone(config))),
            Some(LlmClient::Openai { http, base }) => Arc::new(Openai::new(http, &base, Arc::clone(config))),
        };
        Self { config: Arc::clone(config), extractive, provider }
    }

    /// Begins a turn of the model that the prompt names.
    pub(crate) async fn turn(&self, prompt: Prompt) -> Result<Turn, LlmError> {
        match self.config.kind_of(&prompt.model) {
            LlmKind::Extractive => self.extractive.turn(prompt).await,
            LlmKind::Bedrock | LlmKind::Openai => self.provider.turn(prompt).await,
        }
    }
}
