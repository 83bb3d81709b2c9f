use std::time::Duration;

use url::Url;

use super::{ConfigError, Variables};

/// Which embedder turns text into vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbedderKind {
    /// Amazon Titan Text Embeddings v2 on Amazon Bedrock.
    Bedrock,
    /// Any server that speaks OpenAI's embeddings API.
    Openai,
    /// Hashed words: no meaning, no weights, no network. For tests.
    Hashing,
}

/// The embedding model. All vectors of a deployment come from one model: changing it makes the stored ones useless.
#[derive(Debug, Clone)]
pub struct EmbeddingConfig {
    /// `EMBEDDER`: `bedrock`, `openai` or `hashing`.
    pub kind: EmbedderKind,
    /// `EMBEDDING_MODEL`: the model's name at its provider (`amazon.titan-embed-text-v2:0`).
    pub model: String,
    /// `EMBEDDING_DIMENSIONS`: the length of a vector; fixed in the vector index (1,024).
    pub dimensions: usize,
    /// `EMBEDDING_WINDOW_TOKENS`: the most a passage may hold, headings included (256).
    pub window_tokens: usize,
    /// `OPENAI_BASE_URL`: the address that `/embeddings` is appended to. Required for `openai`.
    pub openai_base_url: Option<Url>,
    /// `OPENAI_API_KEY`: sent as a bearer token, if set.
    pub openai_api_key: Option<String>,
    /// `EMBEDDING_TIMEOUT_MS`: for one call to answer (10,000).
    pub timeout: Duration,
}

impl EmbeddingConfig {
    /// Reads the variables named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        let kind = variables.choice(
            "EMBEDDER",
            &[("bedrock", EmbedderKind::Bedrock), ("openai", EmbedderKind::Openai), ("hashing", EmbedderKind::Hashing)],
        )?;
        let openai_base_url = variables.optional_url("OPENAI_BASE_URL", &["https", "http"])?;
        if kind == EmbedderKind::Openai && openai_base_url.is_none() {
            return Err(ConfigError::Missing {
                name: "OPENAI_BASE_URL",
                allowed: "the address of an OpenAI-compatible server when EMBEDDER is openai".to_owned(),
            });
        }
        Ok(Self {
            kind,
            model: variables.text("EMBEDDING_MODEL", "amazon.titan-embed-text-v2:0"),
            dimensions: size(variables, "EMBEDDING_DIMENSIONS", 1_024, 4_096)?,
            window_tokens: size(variables, "EMBEDDING_WINDOW_TOKENS", 256, 8_192)?,
            openai_base_url,
            openai_api_key: variables.optional_text("OPENAI_API_KEY").map(str::to_owned),
            timeout: variables.milliseconds("EMBEDDING_TIMEOUT_MS", 10_000)?,
        })
    }
}

fn size(variables: &Variables, name: &'static str, default: u64, most: u64) -> Result<usize, ConfigError> {
    let number = variables.number(name, default, 64..=most)?;
    Ok(usize::try_from(number).unwrap_or(usize::MAX))
}
