use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::{ConfigError, Variables};

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LlmKind {
    /// Nobody: the documents' own sentences, without a model.
    Extractive,
    /// A model on Amazon Bedrock, by its `ConverseStream`.
    Bedrock,
    /// A model behind any server that speaks OpenAI's chat completions.
    Openai,
}

/// What a model's tokens cost, in US dollars per million.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Those it reads.
    pub input: f64,
    /// Those it writes.
    pub output: f64,
}

/// The language models of the deployment, and how far one answer may go.
#[derive(Debug, Clone)]
pub struct LlmConfig {
    /// `LLM`: `extractive`, `bedrock` or `openai`.
    pub kind: LlmKind,
    /// `LLM_MODEL`: the model's name at its provider (`amazon.nova-lite-v1:0`). Required for `openai`.
    pub model: String,
    /// `LLM_MODELS`: further models of the same provider that a tenant may be given, separated by commas. `extractive` is
    /// always one of them.
    pub models: BTreeSet<String>,
    /// `LLM_BASE_URL`: the address that `/chat/completions` is appended to. Required for `openai`; for `bedrock` another
    /// endpoint than that of the region.
    pub base_url: Option<Url>,
    /// `LLM_API_KEY`: sent as a bearer token, if set.
    pub api_key: Option<String>,
    /// `LLM_CONNECT_TIMEOUT_MS`: for the provider to take a connection (3,000).
    pub connect_timeout: Duration,
    /// `LLM_FIRST_TIMEOUT_MS`: for a turn to begin (30,000).
    pub first_timeout: Duration,
    /// `LLM_IDLE_TIMEOUT_MS`: the longest silence within a turn (15,000).
    pub idle_timeout: Duration,
    /// `LLM_PRICES`: what tokens cost, as JSON: `{"amazon.nova-lite-v1:0": {"input": 0.06, "output": 0.24}}`. An answer of a
    /// model without a price is bounded by its tokens only.
    pub prices: BTreeMap<String, Price>,
    /// `CHAT_MAX_STEPS`: turns of the model in one answer (6).
    pub max_steps: u32,
    /// `CHAT_MAX_OUTPUT_TOKENS`: tokens that a turn may write (1,024).
    pub max_output_tokens: u32,
    /// `CHAT_MAX_TOKENS`: tokens that one answer may take, read and written, in all its turns (50,000).
    pub max_tokens: u32,
    /// `CHAT_MAX_CENTS`: what one answer may cost, in hundredths of a US dollar (10).
    pub max_cents: u32,
    /// `CHAT_HISTORY_TOKENS`: of the conversation before, as many tokens as a turn is given, counted from its end (4,000).
    pub history_tokens: u32,
    /// `CHAT_RESULT_TOKENS`: the longest result of a tool, in tokens (6,000).
    pub result_tokens: u32,
    /// `CHAT_SECONDS`: the time for one answer (120).
    pub time: Duration,
}

impl LlmConfig {
    /// The most that `CHAT_MAX_OUTPUT_TOKENS` may be.
    pub const MOST_OUTPUT_TOKENS: u32 = 65_536;
    /// The most that `CHAT_MAX_TOKENS` may be.
    pub const MOST_TOKENS: u32 = 10_000_000;
    /// The most that `CHAT_MAX_CENTS` may be.
    pub const MOST_CENTS: u32 = 100_000;

    /// The models that a tenant may be given: `extractive`, `LLM_MODEL` and `LLM_MODELS`.
    pub fn models_from_variables(variables: &Variables) -> Result<BTreeSet<String>, ConfigError> {
        let (_, model) = kind_and_model(variables)?;
        Ok(models(variables, &model))
    }

    /// Reads the variables named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        let (kind, model) = kind_and_model(variables)?;
        let base_url = variables.optional_url("LLM_BASE_URL", &["https", "http"])?;
        if kind == LlmKind::Openai && base_url.is_none() {
            return Err(ConfigError::Missing {
                name: "LLM_BASE_URL",
                allowed: "the address of an OpenAI-compatible server when LLM is openai".to_owned(),
            });
        }
        let number = |name, default, most: u32| {
            let number = variables.number(name, default, 1..=most.into())?;
            Ok::<_, ConfigError>(u32::try_from(number).unwrap_or(u32::MAX))
        };
        Ok(Self {
            kind,
            models: models(variables, &model),
            model,
            base_url,
            api_key: variables.optional_text("LLM_API_KEY").map(str::to_owned),
            connect_timeout: variables.milliseconds("LLM_CONNECT_TIMEOUT_MS", 3_000)?,
            first_timeout: variables.milliseconds("LLM_FIRST_TIMEOUT_MS", 30_000)?,
            idle_timeout: variables.milliseconds("LLM_IDLE_TIMEOUT_MS", 15_000)?,
            prices: prices(variables)?,
            max_steps: number("CHAT_MAX_STEPS", 6, 50)?,
            max_output_tokens: number("CHAT_MAX_OUTPUT_TOKENS", 1_024, Self::MOST_OUTPUT_TOKENS)?,
            max_tokens: number("CHAT_MAX_TOKENS", 50_000, Self::MOST_TOKENS)?,
            max_cents: number("CHAT_MAX_CENTS", 10, Self::MOST_CENTS)?,
            history_tokens: number("CHAT_HISTORY_TOKENS", 4_000, 1_000_000)?,
            result_tokens: number("CHAT_RESULT_TOKENS", 6_000, 1_000_000)?,
            time: Duration::from_secs(variables.number("CHAT_SECONDS", 120, 1..=900)?),
        })
    }

    /// The model for a tenant that was given `named`; the deployment's own if that is not one of its models.
    pub fn model_for<'a>(&'a self, named: Option<&'a str>) -> &'a str {
        named.filter(|name| self.models.contains(*name)).unwrap_or(&self.model)
    }

    /// The kind of a model.
    pub fn kind_of(&self, model: &str) -> LlmKind {
        if model == EXTRACTIVE { LlmKind::Extractive } else { self.kind }
    }
}

/// The name of the answerer that needs no model.
const EXTRACTIVE: &str = "extractive";

fn kind_and_model(variables: &Variables) -> Result<(LlmKind, String), ConfigError> {
    let kinds = [("extractive", LlmKind::Extractive), ("bedrock", LlmKind::Bedrock), ("openai", LlmKind::Openai)];
    let kind = variables.choice("LLM", &kinds)?;
    let model = match kind {
        LlmKind::Extractive => EXTRACTIVE.to_owned(),
        LlmKind::Bedrock => variables.text("LLM_MODEL", "amazon.nova-lite-v1:0"),
        LlmKind::Openai => variables.required_text("LLM_MODEL", "the name of a model when LLM is openai")?,
    };
    Ok((kind, model))
}

fn models(variables: &Variables, model: &str) -> BTreeSet<String> {
    let further = variables.text("LLM_MODELS", "");
    let further = further.split(',').map(str::trim).filter(|name| !name.is_empty());
    [EXTRACTIVE, model].into_iter().chain(further).map(str::to_owned).collect()
}

fn prices(variables: &Variables) -> Result<BTreeMap<String, Price>, ConfigError> {
    let Some(text) = variables.optional_text("LLM_PRICES") else { return Ok(BTreeMap::new()) };
    let wrong = |allowed| ConfigError::Wrong { name: "LLM_PRICES", value: text.to_owned(), allowed };
    let prices: BTreeMap<String, Price> =
        serde_json::from_str(text).map_err(|error| wrong(format!("a JSON object of prices: {error}")))?;
    if prices.values().any(|price| price.input < 0.0 || price.output < 0.0) {
        return Err(wrong("prices that are not below zero".to_owned()));
    }
    Ok(prices)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<LlmConfig, ConfigError> {
        LlmConfig::from_variables(&Variables::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn a_tenant_gets_the_model_it_was_given_if_the_deployment_has_it() {
        let config = config(&[("LLM", "bedrock"), ("LLM_MODELS", "amazon.nova-micro-v1:0, large")]).unwrap();
        assert_eq!(config.model_for(None), "amazon.nova-lite-v1:0");
        assert_eq!(config.model_for(Some("large")), "large");
        assert_eq!(config.model_for(Some("unknown")), "amazon.nova-lite-v1:0");
        assert_eq!(config.model_for(Some("extractive")), "extractive");
        assert_eq!((config.kind_of("large"), config.kind_of("extractive")), (LlmKind::Bedrock, LlmKind::Extractive));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (pairs, name) in [
            (&[("LLM", "openai"), ("LLM_BASE_URL", "http://x/v1")][..], "LLM_MODEL"),
            (&[("LLM", "openai"), ("LLM_MODEL", "m")], "LLM_BASE_URL"),
            (&[("LLM", "none")], "LLM"),
            (&[("LLM", "extractive"), ("LLM_PRICES", "[]")], "LLM_PRICES"),
            (&[("LLM", "extractive"), ("LLM_PRICES", r#"{"m": {"input": -1, "output": 0}}"#)], "LLM_PRICES"),
            (&[("LLM", "extractive"), ("CHAT_MAX_STEPS", "0")], "CHAT_MAX_STEPS"),
        ] {
            let error = config(pairs).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
