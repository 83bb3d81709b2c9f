use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_elasticache::error::DisplayErrorContext;
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo, RedisError};

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
#[derive(Clone)]
pub(super) struct Dial {
    address: Address,
    cluster: bool,
    tokens: Option<IamTokens>,
    connect_timeout: Duration,
    response_timeout: Duration,
}

#[derive(Clone)]
enum Address {
    Known(String),
    /// Asked of AWS whenever a connection is made: a cache that cannot be found now may be found later.
    Elasticache(aws_sdk_elasticache::Client, String),
}

impl Dial {
    /// The way to the configured cache; `None` if there is none.
    pub(super) fn new(aws: &SdkConfig, config: &RedisConfig) -> Result<Option<Self>, ClientError> {
        let address = match (&config.url, &config.elasticache_name) {
            (Some(url), _) => {
                let wrong = |error: RedisError| ClientError::Build(format!("REDIS_URL: {error}"));
                Client::open(url.as_str()).map_err(wrong)?;
                Address::Known(url.to_string())
            }
            (None, Some(name)) => Address::Elasticache(aws_sdk_elasticache::Client::new(aws), name.clone()),
            (None, None) => return Ok(None),
        };
        Ok(Some(Self {
            address,
            cluster: config.cluster,
            tokens: IamTokens::new(aws, config)?,
            connect_timeout: config.connect_timeout,
            response_timeout: config.response_timeout,
        }))
    }

    /// Makes a connection.
    pub(super) async fn connect(self) -> Result<Connection, RedisError> {
        let address = match &self.address {
            Address::Known(address) => address.clone(),
            Address::Elasticache(client, name) => elasticache_address(client, name).await?,
        };
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3));
        let info = address.into_connection_info()?.set_tcp_settings(tcp.clone());
        if self.cluster {
            let mut builder = ClusterClientBuilder::new([info])
                .connection_timeout(self.connect_timeout)
                .response_timeout(self.response_timeout)
                .retries(REDIRECTIONS)
                .min_retry_wait(REDIRECTION_WAITS.0)
                .max_retry_wait(REDIRECTION_WAITS.1)
                .tcp_settings(tcp);
            if let Some(tokens) = self.tokens {
                builder = builder.set_credentials_provider(tokens);
            }
            return Ok(Connection::Cluster(builder.build()?.get_async_connection().await?));
        }
        let mut settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.response_timeout));
        if let Some(tokens) = self.tokens {
            settings = settings.set_credentials_provider(tokens);
        }
        let client = Client::open(info)?;
        Ok(Connection::Single(client.get_multiplexed_async_connection_with_config(&settings).await?))
    }
}

/// The address of a serverless cache.
async fn elasticache_address(client: &aws_sdk_elasticache::Client, name: &str) -> Result<String, RedisError> {
    let failed = |detail: String| RedisError::from((ErrorKind::Io, "the address of the cache is unknown", detail));
    let answer = client.describe_serverless_caches().serverless_cache_name(name).send().await;
    let answer = answer.map_err(|error| failed(DisplayErrorContext(&error).to_string()))?;
    let endpoint = answer.serverless_caches().first().and_then(|cache| cache.endpoint());
    endpoint
        .and_then(|endpoint| Some(format!("rediss://{}:{}", endpoint.address()?, endpoint.port()?)))
        .ok_or_else(|| failed(format!("{name} has none")))
}
