use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_bedrockruntime::Client;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use url::Url;

use super::{ClientError, IDLE_LIMIT};
use crate::config::{LlmConfig, LlmKind};

/// A request is sent so often to Bedrock before its answer begins.
const ATTEMPTS: u32 = 2;

/// The way to the language models of a deployment. It knows no timeouts but that of connecting; how long an answer may take
/// knows who asks.
#[derive(Debug, Clone)]
pub enum LlmClient {
    /// Those on Amazon Bedrock.
    Bedrock(Client),
    /// Those behind an OpenAI-compatible server.
    Openai {
        /// Sends the key with each request, and follows no redirection.
        http: reqwest::Client,
        /// The address that `/chat/completions` is appended to.
        base: Url,
    },
}

/// The client of the models that are configured, if they need one.
pub(super) fn open(config: &LlmConfig, aws: &SdkConfig) -> Result<Option<LlmClient>, ClientError> {
    Ok(match (config.kind, &config.base_url) {
        (LlmKind::Extractive, _) => None,
        (LlmKind::Bedrock, endpoint) => Some(LlmClient::Bedrock(bedrock(config, endpoint.as_ref(), aws))),
        (LlmKind::Openai, Some(base)) => Some(LlmClient::Openai { http: openai(config, base)?, base: base.clone() }),
        (LlmKind::Openai, None) => return Err(ClientError::Build("LLM_BASE_URL: is not set".to_owned())),
    })
}

fn bedrock(config: &LlmConfig, endpoint: Option<&Url>, aws: &SdkConfig) -> Client {
    let mut builder = aws_sdk_bedrockruntime::config::Builder::from(aws)
        .timeout_config(TimeoutConfig::builder().connect_timeout(config.connect_timeout).build())
        .retry_config(aws.retry_config().cloned().unwrap_or_else(RetryConfig::standard).with_max_attempts(ATTEMPTS))
        // A model that thinks is no stalled stream.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(endpoint) = endpoint {
        builder = builder.endpoint_url(endpoint.as_str());
        if endpoint.scheme() == "http" {
            builder = builder.credentials_provider(super::emulated_credentials());
        }
    }
    Client::from_conf(builder.build())
}

fn openai(config: &LlmConfig, base: &Url) -> Result<reqwest::Client, ClientError> {
    let mut headers = HeaderMap::new();
    if let Some(key) = &config.api_key {
        let (name, value) = header(base, key).ok_or_else(|| ClientError::Build("LLM_API_KEY: is no key".to_owned()))?;
        headers.insert(name, value);
    }
    reqwest::Client::builder()
        .default_headers(headers)
        .connect_timeout(config.connect_timeout)
        .pool_idle_timeout(IDLE_LIMIT)
        // The key goes nowhere else.
        .redirect(Policy::none())
        .user_agent(concat!("Ragline/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ClientError::Build(format!("LLM_BASE_URL: {error}")))
}

/// How a server is told the key: Azure has a header of its own.
fn header(base: &Url, key: &str) -> Option<(HeaderName, HeaderValue)> {
    let azure = base.host_str().is_some_and(|host| host.ends_with(".azure.com"));
    let (name, text) = if azure {
        (HeaderName::from_static("api-key"), key.to_owned())
    } else {
        (AUTHORIZATION, format!("Bearer {key}"))
    };
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_goes_into_the_header_of_the_server() {
        let sent = |base: &str| {
            let (name, value) = header(&base.parse().unwrap(), "secret").unwrap();
            format!("{name}: {}", value.to_str().unwrap())
        };
        assert_eq!(sent("https://api.openai.com/v1"), "authorization: Bearer secret");
        assert_eq!(sent("https://x.openai.azure.com/openai/v1"), "api-key: secret");
        assert!(header(&"http://x/v1".parse().unwrap(), "line\nbreak").is_none());
    }
}
