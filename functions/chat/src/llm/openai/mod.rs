//! Any server that speaks OpenAI's chat completions, streamed: OpenAI, Azure, vLLM, Ollama, llama.cpp, `LiteLLM`.
//!
//! A request that was not begun to be answered is repeated once: when the connection came to nothing, or for 408, 429 and 5xx,
//! unless the provider asks for more than a second of patience, or the time for the first piece would be over. An answer that
//! began is never repeated.

mod chunk;
mod fault;
mod request;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use http::header::CONTENT_TYPE;
use reqwest::Response;
use shared::config::LlmConfig;
use tokio::time::Instant;
use url::Url;

use super::pace::Pace;
use super::{Llm, LlmError, Prompt, Turn};
use fault::Failure;

/// The longest wait before a request is repeated.
const MOST_PATIENCE: Duration = Duration::from_secs(1);
/// The wait where the provider names none, in milliseconds: anything between, so that clients do not come back all at once.
const PATIENCE: std::ops::Range<u64> = 100..300;

/// The models behind one server.
pub(super) struct Openai {
    http: reqwest::Client,
    url: Url,
    config: Arc<LlmConfig>,
    lacks: Lacks,
}

/// What the server turned out not to know; it is not sent again.
#[derive(Debug, Default)]
struct Lacks {
    max_tokens: AtomicBool,
    stream_options: AtomicBool,
}

/// A field that newer models, or older servers, refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// `max_tokens`; OpenAI's reasoning models call it `max_completion_tokens`, which others do not know.
    MaxTokens,
    /// `stream_options`; without it there is no usage.
    StreamOptions,
}

/// The fields of a request.
#[derive(Debug, Clone, Copy)]
struct Fields {
    max_tokens: bool,
    stream_options: bool,
}

impl Openai {
    /// The server at `LLM_BASE_URL`.
    pub(super) fn new(http: reqwest::Client, base: &Url, config: Arc<LlmConfig>) -> Self {
        // What stands behind the path stays, such as Azure's `?api-version=`.
        let mut url = base.clone();
        url.set_path(&format!("{}/chat/completions", base.path().trim_end_matches('/')));
        Self { http, url, config, lacks: Lacks::default() }
    }

    async fn ask(&self, prompt: &Prompt, until: Instant) -> Result<Response, LlmError> {
        let mut repeated = false;
        loop {
            let fields = self.lacks.left();
            let Failure { error, temporary, refused } = match self.post(prompt, fields).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            if let Some(field) = refused.filter(|field| fields.hold(*field)) {
                self.lacks.learn(field);
                continue;
            }
            let wait = error.retry_after.unwrap_or_else(|| Duration::from_millis(fastrand::u64(PATIENCE)));
            if repeated || !temporary || wait > MOST_PATIENCE || Instant::now() + wait >= until {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            repeated = true;
        }
    }

    async fn post(&self, prompt: &Prompt, fields: Fields) -> Result<Response, Failure> {
        let request = self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let request = request.body(request::body(prompt, fields));
        let response = request.send().await.map_err(|error| Failure::unanswered(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(Failure::refused(response).await) }
    }
}

#[async_trait]
impl Llm for Openai {
    async fn turn(&self, prompt: Prompt) -> Result<Turn, LlmError> {
        let pace = Pace::start(&self.config);
        let response = pace.within(self.ask(&prompt, pace.until())).await??;
        Ok(stream::turn(response, pace).boxed())
    }
}

impl Lacks {
    fn left(&self) -> Fields {
        Fields {
            max_tokens: !self.max_tokens.load(Ordering::Relaxed),
            stream_options: !self.stream_options.load(Ordering::Relaxed),
        }
    }

    fn learn(&self, field: Field) {
        let lacks = match field {
            Field::MaxTokens => &self.max_tokens,
            Field::StreamOptions => &self.stream_options,
        };
        lacks.store(true, Ordering::Relaxed);
    }
}

impl Fields {
    fn hold(self, field: Field) -> bool {
        match field {
            Field::MaxTokens => self.max_tokens,
            Field::StreamOptions => self.stream_options,
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::config::Variables;

    use super::*;

    #[test]
    fn the_path_is_appended_before_what_stands_behind_it() {
        let config = Arc::new(LlmConfig::from_variables(&Variables::default()).unwrap());
        for (base, url) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
            ("http://localhost:11434/v1/", "http://localhost:11434/v1/chat/completions"),
            (
                "https://x.openai.azure.com/openai/deployments/d?api-version=1",
                "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=1",
            ),
        ] {
            let openai = Openai::new(reqwest::Client::new(), &base.parse().unwrap(), Arc::clone(&config));
            assert_eq!(openai.url.as_str(), url);
        }
    }
}
