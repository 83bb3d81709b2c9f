use std::time::Duration;

use aws_config::SdkConfig;
use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, RedisError};

use super::super::ClientError;
use super::iam::IamTokens;
use crate::config::RedisConfig;

/// How long an idle connection may be silent before the kernel probes it.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How often a command of a cluster is sent again after a redirection.
const REDIRECTIONS: u32 = 3;
/// The waits before that, in milliseconds.
const REDIRECTION_WAITS: (u64, u64) = (1, 10);

/// A connection of either kind; clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// How a connection is made.
pub(super) enum Dial {
    Single(Client, AsyncConnectionConfig),
    Cluster(ClusterClient),
}

impl Dial {
    /// The way to the configured cache; `None` if there is none. Asks AWS for the address of a cache that is known by
    /// its name only.
    pub(super) async fn new(aws: &SdkConfig, config: &RedisConfig) -> Result<Option<Self>, ClientError> {
        let address = match (&config.url, &config.elasticache_name) {
            (Some(url), _) => Some(url.to_string()),
            (None, Some(name)) => elasticache_address(aws, name).await,
            (None, None) => None,
        };
        let Some(address) = address else { return Ok(None) };
        let wrong = |error: RedisError| ClientError::Build(format!("REDIS_URL: {error}"));
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3));
        let info = address.into_connection_info().map_err(wrong)?.set_tcp_settings(tcp.clone());
        let tokens = IamTokens::new(aws, config)?;
        if config.cluster {
            let mut builder = ClusterClientBuilder::new([info])
                .connection_timeout(config.connect_timeout)
                .response_timeout(config.response_timeout)
                .retries(REDIRECTIONS)
                .min_retry_wait(REDIRECTION_WAITS.0)
                .max_retry_wait(REDIRECTION_WAITS.1)
                .tcp_settings(tcp);
            if let Some(tokens) = tokens {
                builder = builder.set_credentials_provider(tokens);
            }
            return Ok(Some(Self::Cluster(builder.build().map_err(wrong)?)));
        }
        let mut settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(config.connect_timeout))
            .set_response_timeout(Some(config.response_timeout));
        if let Some(tokens) = tokens {
            settings = settings.set_credentials_provider(tokens);
        }
        Ok(Some(Self::Single(Client::open(info).map_err(wrong)?, settings)))
    }

    /// Makes a connection.
    pub(super) fn connect(&self) -> impl Future<Output = Result<Connection, RedisError>> + Send + use<> {
        let dial = match self {
            Self::Single(client, settings) => Self::Single(client.clone(), settings.clone()),
            Self::Cluster(client) => Self::Cluster(client.clone()),
        };
        async move {
            Ok(match dial {
                Self::Single(client, settings) => {
                    Connection::Single(client.get_multiplexed_async_connection_with_config(&settings).await?)
                }
                Self::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
            })
        }
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
