use std::sync::Arc;

use futures::{StreamExt, TryFutureExt};
use shared::clients::LlmClient;
use shared::config::{LlmConfig, LlmKind};
use shared::telemetry::{self, GenAi, Within};
use tracing::Instrument;

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

    /// Begins a turn of the model that the prompt names, and a step of the trace, which is over when the turn is.
    pub(crate) fn begin(&self, prompt: Prompt) -> (GenAi, impl Future<Output = Result<Turn, LlmError>> + Send) {
        let (provider, llm) = match self.config.kind_of(&prompt.model) {
            LlmKind::Extractive => ("ragline", &self.extractive),
            LlmKind::Bedrock => ("aws.bedrock", &self.provider),
            LlmKind::Openai => ("openai", &self.provider),
        };
        let step = telemetry::chat(provider, &prompt.model, prompt.max_tokens);
        step.told(prompt.told());
        let (seen, span) = (step.clone(), step.span().clone());
        let begun = llm.turn(prompt).instrument(span.clone());
        let begun = begun.map_ok(|pieces| Within::new(pieces, span).boxed());
        (step, begun.inspect_err(move |error| seen.failed(error.kind())))
    }
}
