use std::time::Duration;

use url::Url;

use super::{ConfigError, Variables};

/// The cache, which may be missing: everything works without it, only slower and with coarser limits.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// `REDIS_URL`: `redis://host:port`, or `rediss://` with TLS.
    pub url: Option<Url>,
    /// `ELASTICACHE_NAME`: a serverless cache of this account, whose address is looked up when `REDIS_URL` is not set.
    pub elasticache_name: Option<String>,
    /// `REDIS_CLUSTER`: whether the address is a node of a cluster. By default only that of a serverless cache is.
    pub cluster: bool,
    /// `REDIS_IAM_USER`: signs in to `ELASTICACHE_NAME` as this user, with tokens made from the AWS credentials.
    pub iam_user: Option<String>,
    /// `REDIS_CONNECT_TIMEOUT_MS`: for a connection to stand, TLS included (500).
    pub connect_timeout: Duration,
    /// `REDIS_TIMEOUT_MS`: for a command to answer (50).
    pub response_timeout: Duration,
    /// `REDIS_BREAKER_FAILURES`: after so many failures in a row the cache is left alone (3).
    pub breaker_failures: u32,
    /// `REDIS_BREAKER_REST_MS`: for so long; then one request tries (1000).
    pub breaker_rest: Duration,
}

impl RedisConfig {
    /// Reads the variables named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        let url = variables.optional_url("REDIS_URL", &["redis", "rediss"])?;
        let cluster =
            match variables.choice("REDIS_CLUSTER", &[("auto", None), ("true", Some(true)), ("false", Some(false))])? {
                Some(cluster) => cluster,
                None => url.is_none(),
            };
        Ok(Self {
            url,
            elasticache_name: variables.optional_text("ELASTICACHE_NAME").map(str::to_owned),
            cluster,
            iam_user: variables.optional_text("REDIS_IAM_USER").map(str::to_owned),
            connect_timeout: variables.milliseconds("REDIS_CONNECT_TIMEOUT_MS", 500)?,
            response_timeout: variables.milliseconds("REDIS_TIMEOUT_MS", 50)?,
            breaker_failures: u32::try_from(variables.number("REDIS_BREAKER_FAILURES", 3, 1..=1_000)?).unwrap_or(3),
            breaker_rest: variables.milliseconds("REDIS_BREAKER_REST_MS", 1_000)?,
        })
    }
}
