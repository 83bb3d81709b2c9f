use std::time::Duration;

use url::Url;

use super::{ConfigError, Variables};

/// The cache, which may be missing: everything works without it, only slower.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// `REDIS_URL`: `redis://host:port`, or `rediss://` with TLS.
    pub url: Option<Url>,
    /// `ELASTICACHE_NAME`: a serverless cache of this account, whose address is looked up when `REDIS_URL` is not set.
    pub elasticache_name: Option<String>,
    /// `REDIS_CONNECT_TIMEOUT_MS`: for a connection to stand, TLS included (500).
    pub connect_timeout: Duration,
    /// `REDIS_TIMEOUT_MS`: for a command to answer (50).
    pub response_timeout: Duration,
}

impl RedisConfig {
    /// Reads the variables named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            url: variables.optional_url("REDIS_URL", &["redis", "rediss"])?,
            elasticache_name: variables.optional_text("ELASTICACHE_NAME").map(str::to_owned),
            connect_timeout: variables.milliseconds("REDIS_CONNECT_TIMEOUT_MS", 500)?,
            response_timeout: variables.milliseconds("REDIS_TIMEOUT_MS", 50)?,
        })
    }
}
