use std::sync::Arc;

use super::{Extractive, Llm, LlmError, Prompt, Turn};

/// The language models of the deployment.
#[derive(Clone)]
pub struct Models {
    extractive: Arc<dyn Llm>,
}

impl Models {
    /// The answerer that needs none.
    pub fn extractive() -> Self {
        Self { extractive: Arc::new(Extractive) }
    }

    /// Begins a turn of the model that the prompt names.
    pub(crate) async fn turn(&self, prompt: Prompt) -> Result<Turn, LlmError> {
        self.extractive.turn(prompt).await
    }
}
