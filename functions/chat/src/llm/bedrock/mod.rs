//! Models on Amazon Bedrock, by `ConverseStream`. The client repeats a request once that was not begun to be answered.

mod document;
mod fault;
mod request;
mod stream;

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_bedrockruntime::Client;
use futures::StreamExt;
use shared::config::LlmConfig;

use super::pace::Pace;
use super::{Llm, LlmError, Prompt, Turn};

/// The models of a region.
pub(super) struct Bedrock {
    client: Client,
    config: Arc<LlmConfig>,
}

impl Bedrock {
    pub(super) fn new(client: Client, config: Arc<LlmConfig>) -> Self {
        Self { client, config }
    }
}

#[async_trait]
impl Llm for Bedrock {
    async fn turn(&self, prompt: Prompt) -> Result<Turn, LlmError> {
        let pace = Pace::start(&self.config);
        let request = request::of(self.client.converse_stream(), prompt)?;
        // Off the stack, of which an answer has used much by then.
        let output = pace.within(Box::pin(request.send())).await?.map_err(|error| fault::refused(&error))?;
        Ok(stream::turn(output.stream, pace).boxed())
    }
}
