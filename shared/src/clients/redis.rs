use std::time::Duration;

use aws_config::SdkConfig;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Cmd, FromRedisValue, IntoConnectionInfo, RedisError};

use super::ClientError;
use crate::config::RedisConfig;

/// How long an idle connection may be silent before the kernel probes it.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// One multiplexed, reconnecting connection to the cache, or none where no cache is configured.
#[derive(Clone)]
pub struct Redis {
    connection: Option<ConnectionManager>,
}

/// Why a command has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// No cache is configured.
    #[error("no cache is configured")]
    NotConfigured,
    /// The cache did not answer as it should.
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
}

impl Redis {
    pub(super) async fn new(aws: &SdkConfig, config: &RedisConfig) -> Result<Self, ClientError> {
        let address = match (&config.url, &config.elasticache_name) {
            (Some(url), _) => Some(url.to_string()),
            (None, Some(name)) => elasticache_address(aws, name).await,
            (None, None) => None,
        };
        let Some(address) = address else { return Ok(Self { connection: None }) };
        let wrong = |error: RedisError| ClientError::Build(format!("REDIS_URL: {error}"));
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3));
        let info = address.into_connection_info().map_err(wrong)?.set_tcp_settings(tcp);
        let settings = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(config.connect_timeout))
            .set_response_timeout(Some(config.response_timeout))
            .set_number_of_retries(1);
        let client = redis::Client::open(info).map_err(wrong)?;
        // Lazy, so that a cache that is away does not keep the process from starting.
        let connection = ConnectionManager::new_lazy_with_config(client, settings).map_err(wrong)?;
        Ok(Self { connection: Some(connection) })
    }

    /// Sends a command. The manager replaces a dead connection behind the failing command but does not send it again,
    /// so that is done here, once: a thawed Lambda environment often finds its connection dead.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, CacheError> {
        let mut connection = self.connection.clone().ok_or(CacheError::NotConfigured)?;
        match command.query_async(&mut connection).await {
            Err(error) if error.is_connection_dropped() => Ok(command.query_async(&mut connection).await?),
            answer => Ok(answer?),
        }
    }

    /// Asks whether the cache answers.
    pub async fn ping(&self) -> Result<(), CacheError> {
        self.query::<String>(&redis::cmd("PING")).await.map(|_| ())
    }
}

/// The address of a serverless cache. A cache that cannot be found is logged and done without: it is only a cache.
async fn elasticache_address(aws: &SdkConfig, name: &str) -> Option<String> {
    let client = aws_sdk_elasticache::Client::new(aws);
    match client.describe_serverless_caches().serverless_cache_name(name).send().await {
        Ok(answer) => {
            let endpoint = answer.serverless_caches().first().and_then(|cache| cache.endpoint());
            let address = endpoint.and_then(|e| Some(format!("rediss://{}:{}", e.address()?, e.port()?)));
            if address.is_none() {
                tracing::error!(cache = name, "the cache has no address");
            }
            address
        }
        Err(error) => {
            let error = aws_sdk_elasticache::error::DisplayErrorContext(&error);
            tracing::error!(cache = name, %error, "the address of the cache is unknown");
            None
        }
    }
}
