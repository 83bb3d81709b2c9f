use std::time::Duration;

use url::Url;

use super::{ConfigError, Variables};

/// Who puts the best passages in order once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RerankerKind {
    /// A rerank model on Amazon Bedrock.
    Bedrock,
    /// A server that speaks Cohere's `/v1/rerank` or `/v2/rerank`, at this address.
    Cohere(Url),
}

/// How passages are put in order once more, after words and vectors did.
#[derive(Debug, Clone)]
pub struct RerankConfig {
    /// `RERANKER`: `none`, `bedrock` or `cohere` (none); and `RERANK_URL`: for `cohere`, the whole address, such as
    /// `https://api.cohere.com/v2/rerank`.
    pub kind: RerankerKind,
    /// `RERANK_MODEL`: its name at the provider (`cohere.rerank-v3-5:0` for `bedrock`, `rerank-v3.5` for `cohere`).
    pub model: String,
    /// `RERANK_API_KEY`: for `cohere`, sent as a bearer token, if set.
    pub api_key: Option<String>,
    /// `RERANK_PASSAGES`: how many of the best passages are looked at (50).
    pub passages: usize,
    /// `RERANK_TIMEOUT_MS`: how long a search waits for it before it goes on without (500).
    pub budget: Duration,
}

impl RerankConfig {
    /// Reads the variables named above; `None` if there is no reranker.
    pub fn from_variables(variables: &Variables) -> Result<Option<Self>, ConfigError> {
        let models = [("none", None), ("bedrock", Some("cohere.rerank-v3-5:0")), ("cohere", Some("rerank-v3.5"))];
        let Some(model) = variables.choice("RERANKER", &models)? else { return Ok(None) };
        let kind = if variables.optional_text("RERANKER") == Some("bedrock") {
            RerankerKind::Bedrock
        } else {
            let url = variables.optional_url("RERANK_URL", &["https", "http"])?;
            RerankerKind::Cohere(url.ok_or_else(|| ConfigError::Missing {
                name: "RERANK_URL",
                allowed: "the address of a Cohere-compatible server when RERANKER is cohere".to_owned(),
            })?)
        };
        let passages = variables.number("RERANK_PASSAGES", 50, 2..=100)?;
        Ok(Some(Self {
            kind,
            model: variables.text("RERANK_MODEL", model),
            api_key: variables.optional_text("RERANK_API_KEY").map(str::to_owned),
            passages: usize::try_from(passages).unwrap_or(usize::MAX),
            budget: variables.milliseconds("RERANK_TIMEOUT_MS", 500)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<RerankConfig>, ConfigError> {
        RerankConfig::from_variables(&Variables::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn nothing_is_reranked_unless_somebody_is_named() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[("RERANKER", "none"), ("RERANK_URL", "http://x/v2/rerank")]).unwrap().is_none());
        let bedrock = read(&[("RERANKER", "bedrock")]).unwrap().unwrap();
        assert_eq!((bedrock.kind, bedrock.model.as_str()), (RerankerKind::Bedrock, "cohere.rerank-v3-5:0"));
        let url = "http://127.0.0.1:1/v1/rerank";
        let cohere = read(&[("RERANKER", "cohere"), ("RERANK_URL", url), ("RERANK_MODEL", "m")]).unwrap().unwrap();
        assert_eq!((cohere.kind, cohere.model.as_str()), (RerankerKind::Cohere(Url::parse(url).unwrap()), "m"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (pairs, name) in [
            (&[("RERANKER", "magic")][..], "RERANKER"),
            (&[("RERANKER", "cohere")], "RERANK_URL"),
            (&[("RERANKER", "cohere"), ("RERANK_URL", "ftp://x")], "RERANK_URL"),
            (&[("RERANKER", "bedrock"), ("RERANK_PASSAGES", "1")], "RERANK_PASSAGES"),
        ] {
            let error = read(pairs).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} is")), "{error}");
        }
    }
}
