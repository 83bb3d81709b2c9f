use std::time::Duration;

use url::Url;

use super::{ConfigError, Variables};
use crate::editions::Edition;

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

/// An embedding model. Vectors of different models cannot be compared, so each model has an edition of its own.
#[derive(Debug, Clone)]
pub struct EmbeddingConfig {
    /// `EMBEDDING_EDITION`: counts the models of the deployment (1). Whoever changes one of the others adds one to it, and
    /// names the model before by `PREVIOUS_EMBEDDING_EDITION` and whatever else was different, each with `PREVIOUS_` in front.
    pub edition: Edition,
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
        let edition = variables.number("EMBEDDING_EDITION", 1, 1..=MAX_EDITION)?;
        Ok(Self {
            edition: u32::try_from(edition).ok().and_then(Edition::new).unwrap_or(Edition::FIRST),
            kind,
            model: variables.text("EMBEDDING_MODEL", "amazon.titan-embed-text-v2:0"),
            dimensions: size(variables, "EMBEDDING_DIMENSIONS", 1_024, 4_096)?,
            window_tokens: size(variables, "EMBEDDING_WINDOW_TOKENS", 256, 8_192)?,
            openai_base_url,
            openai_api_key: variables.optional_text("OPENAI_API_KEY").map(str::to_owned),
            timeout: variables.milliseconds("EMBEDDING_TIMEOUT_MS", 10_000)?,
        })
    }

    /// The model before, while documents are re-embedded; `None` if `PREVIOUS_EMBEDDING_EDITION` is 0 or not set. What is not
    /// named for it is as it is now.
    pub fn previous_from_variables(variables: &Variables) -> Result<Option<Self>, ConfigError> {
        let current = Self::from_variables(variables)?.edition;
        let before = u64::from(current.number()) - 1;
        if variables.number("PREVIOUS_EMBEDDING_EDITION", 0, 0..=before)? == 0 {
            return Ok(None);
        }
        let named = NAMES.iter().filter_map(|(name, previous)| Some((*name, variables.optional_text(previous)?)));
        let previous = Self::from_variables(&Variables::from_pairs(named).or(variables));
        previous.map(Some).map_err(|error| error.renamed(&NAMES))
    }
}

/// The highest edition.
const MAX_EDITION: u64 = 1_000_000;

/// The variables of a model, each with that of the model before.
const NAMES: [(&str, &str); 7] = [
    ("EMBEDDER", "PREVIOUS_EMBEDDER"),
    ("EMBEDDING_DIMENSIONS", "PREVIOUS_EMBEDDING_DIMENSIONS"),
    ("EMBEDDING_EDITION", "PREVIOUS_EMBEDDING_EDITION"),
    ("EMBEDDING_MODEL", "PREVIOUS_EMBEDDING_MODEL"),
    ("EMBEDDING_WINDOW_TOKENS", "PREVIOUS_EMBEDDING_WINDOW_TOKENS"),
    ("OPENAI_API_KEY", "PREVIOUS_OPENAI_API_KEY"),
    ("OPENAI_BASE_URL", "PREVIOUS_OPENAI_BASE_URL"),
];

fn size(variables: &Variables, name: &'static str, default: u64, most: u64) -> Result<usize, ConfigError> {
    let number = variables.number(name, default, 64..=most)?;
    Ok(usize::try_from(number).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn previous(pairs: &[(&str, &str)]) -> Result<Option<EmbeddingConfig>, ConfigError> {
        EmbeddingConfig::previous_from_variables(&Variables::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn the_model_before_is_as_the_one_now_where_nothing_else_is_said() {
        let now = [("EMBEDDER", "hashing"), ("EMBEDDING_EDITION", "3"), ("EMBEDDING_DIMENSIONS", "512")];
        assert!(previous(&now).unwrap().is_none());
        let both =
            [&now[..], &[("PREVIOUS_EMBEDDING_EDITION", "2"), ("PREVIOUS_EMBEDDING_DIMENSIONS", "256")]].concat();
        let before = previous(&both).unwrap().unwrap();
        assert_eq!((before.edition.number(), before.kind, before.dimensions), (2, EmbedderKind::Hashing, 256));
    }

    #[test]
    fn what_is_wrong_of_the_model_before_is_named_as_its_own() {
        for (name, value) in [
            ("PREVIOUS_EMBEDDING_EDITION", "3"),
            ("PREVIOUS_EMBEDDING_DIMENSIONS", "many"),
            ("PREVIOUS_EMBEDDER", "none"),
            ("PREVIOUS_OPENAI_BASE_URL", "ftp://x"),
        ] {
            let pairs = [("EMBEDDING_EDITION", "3"), ("PREVIOUS_EMBEDDING_EDITION", "2")];
            let pairs = [&pairs[..], &[(name, value)]].concat();
            let error = previous(&pairs).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
        let first = previous(&[("PREVIOUS_EMBEDDING_EDITION", "1")]).unwrap_err().to_string();
        assert!(first.starts_with("PREVIOUS_EMBEDDING_EDITION"), "{first}");
    }
}
