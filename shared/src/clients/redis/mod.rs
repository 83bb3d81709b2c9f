//! The cache: one connection that reconnects, to a single server or a cluster, with or without TLS, by password or by
//! IAM tokens. Which of them is a matter of configuration; whoever sends a command does not see it.

mod breaker;
mod dial;
mod iam;
mod script;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use redis::aio::ConnectionLike;
use redis::{Cmd, FromRedisValue, RedisError, Value};

use self::breaker::Breaker;
use self::dial::{Connection, Dial};
pub use self::script::Script;
use super::ClientError;
use crate::config::RedisConfig;
use crate::metrics;

/// A connection that was silent for so long may have been dropped by something in between without a word: a command
/// that times out on it is sent again, on a new one.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);

/// A connection to the cache, or none where no cache is configured. Clones share it.
#[derive(Clone)]
pub struct Redis(Option<Arc<Link>>);

/// Why a command has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// No cache is configured.
    #[error("no cache is configured")]
    NotConfigured,
    /// The cache failed repeatedly just now and is left alone for a moment.
    #[error("the cache is left alone after repeated failures")]
    Resting,
    /// The cache did not answer in time.
    #[error("the cache did not answer in time")]
    TimedOut,
    /// The cache did not answer as it should.
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
}

impl CacheError {
    /// Whether nobody listens where the cache should be: the process is gone, and its memory with it.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Redis(error) if error.is_connection_refusal())
    }
}

impl Redis {
    pub(super) fn new(aws: &SdkConfig, config: &RedisConfig) -> Result<Self, ClientError> {
        let Some(dial) = Dial::new(aws, config)? else { return Ok(Self(None)) };
        Ok(Self(Some(Arc::new(Link {
            dial,
            response_timeout: config.response_timeout,
            breaker: Breaker::new(config.breaker_failures, config.breaker_rest),
            born: Instant::now(),
            last_answer: AtomicU64::new(0),
            slot: Mutex::new(Slot::default()),
        }))))
    }

    /// Sends a command, unless the cache is being left alone.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, CacheError> {
        let link = self.0.as_ref().ok_or(CacheError::NotConfigured)?;
        if !link.breaker.allows(Instant::now()) {
            return Err(CacheError::Resting);
        }
        Ok(redis::from_redis_value(link.send(command).await?).map_err(RedisError::from)?)
    }

    /// Sends a command even to a cache that failed just now: for what must not be skipped, such as telling it that
    /// something changed.
    pub async fn insist<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, CacheError> {
        let link = self.0.as_ref().ok_or(CacheError::NotConfigured)?;
        Ok(redis::from_redis_value(link.send(command).await?).map_err(RedisError::from)?)
    }

    /// Asks whether the cache answers.
    pub async fn ping(&self) -> Result<(), CacheError> {
        self.insist::<String>(&redis::cmd("PING")).await.map(|_| ())
    }

    /// Whether a cache is configured.
    pub fn is_configured(&self) -> bool {
        self.0.is_some()
    }
}

/// The connection, and what is known of how it fares.
struct Link {
    dial: Dial,
    response_timeout: Duration,
    breaker: Breaker,
    born: Instant,
    /// When the last answer came, in milliseconds since `born`.
    last_answer: AtomicU64,
    slot: Mutex<Slot>,
}

/// A connection that stands or is being made. Whoever needs it moves it on; if that request ends first, the next one
/// goes on where it stopped, since nothing may run on its own in a Lambda environment.
type Connecting = Shared<BoxFuture<'static, Result<Connection, RedisError>>>;

#[derive(Default)]
struct Slot {
    generation: u64,
    connecting: Option<Connecting>,
}

/// A command that failed, and on which connection.
struct Failure {
    error: CacheError,
    generation: u64,
    /// Whether the command may have been sent.
    sent: bool,
}

impl Link {
    /// Sends a command; once more, on a new connection, if this one turns out to be dead. A thawed Lambda environment
    /// often finds its connection dead.
    async fn send(&self, command: &Cmd) -> Result<Value, CacheError> {
        let suspect = self.silent_for() > SUSPECT_AFTER;
        let started = Instant::now();
        // In boxes: these futures are part of those of most requests.
        let mut outcome = Box::pin(self.attempt(command)).await;
        if let Err(failure) = &outcome
            && failure.is_of_a_dead_connection(suspect)
        {
            metrics::REDIS_RECONNECTIONS.add(1);
            self.discard(failure.generation);
            outcome = Box::pin(self.attempt(command)).await;
        }
        match outcome {
            Ok(value) => {
                metrics::REDIS_COMMAND.took(started.elapsed());
                self.last_answer.store(millis(self.born.elapsed()), Ordering::Relaxed);
                self.breaker.succeeded();
                Ok(value)
            }
            Err(failure) => {
                if failure.is_an_answer() {
                    self.breaker.succeeded();
                } else {
                    metrics::REDIS_FAILURES.add(1);
                    // One that is still being made goes on; one that failed to be made is given up already.
                    if self.breaker.failed(&failure.error, Instant::now()) && failure.sent {
                        self.discard(failure.generation);
                    }
                }
                Err(failure.error)
            }
        }
    }

    async fn attempt(&self, command: &Cmd) -> Result<Value, Failure> {
        let (generation, connecting) = self.connection();
        let failed = |error: CacheError, sent| Failure { error, generation, sent };
        // Making a connection takes several round trips, so it may take longer than a command; what is not finished then
        // goes on with the next request.
        let mut connection = match tokio::time::timeout(self.response_timeout * 2, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                self.discard(generation);
                return Err(failed(error.into(), false));
            }
            Err(_) => return Err(failed(CacheError::TimedOut, false)),
        };
        match tokio::time::timeout(self.response_timeout, connection.send(command)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if error.is_timeout() => Err(failed(CacheError::TimedOut, true)),
            Ok(Err(error)) => Err(failed(error.into(), true)),
            Err(_) => Err(failed(CacheError::TimedOut, true)),
        }
    }

    fn connection(&self) -> (u64, Connecting) {
        let mut slot = self.slot();
        let connect = || metrics::REDIS_CONNECTION.time(self.dial.clone().connect()).boxed().shared();
        let connecting = slot.connecting.get_or_insert_with(connect).clone();
        (slot.generation, connecting)
    }

    /// Gives up a connection, unless somebody else did already.
    fn discard(&self, generation: u64) {
        let mut slot = self.slot();
        if slot.generation == generation {
            *slot = Slot { generation: generation + 1, connecting: None };
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silent_for(&self) -> Duration {
        let last = Duration::from_millis(self.last_answer.load(Ordering::Relaxed));
        self.born.elapsed().saturating_sub(last)
    }
}

impl Failure {
    fn is_of_a_dead_connection(&self, suspect: bool) -> bool {
        self.sent
            && match &self.error {
                CacheError::TimedOut => suspect,
                CacheError::Redis(error) => error.is_connection_dropped() || must_reconnect(error),
                _ => false,
            }
    }

    /// Whether the server answered, though not what was hoped for.
    fn is_an_answer(&self) -> bool {
        match &self.error {
            CacheError::Redis(error) => error.code().is_some_and(|code| !CANNOT_SERVE.contains(&code)),
            _ => false,
        }
    }
}

/// Answers of a server that cannot serve now.
const CANNOT_SERVE: [&str; 8] =
    ["CLUSTERDOWN", "LOADING", "MASTERDOWN", "NOAUTH", "OOM", "READONLY", "TRYAGAIN", "WRONGPASS"];

/// Answers after which another connection may fare better: the server became a replica, or wants a new password.
fn must_reconnect(error: &RedisError) -> bool {
    error.code().is_some_and(|code| ["NOAUTH", "READONLY", "WRONGPASS"].contains(&code))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Connection {
    async fn send(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::Single(connection) => connection.req_packed_command(command).await?.extract_error(),
            Self::Cluster(connection) => connection.req_packed_command(command).await?.extract_error(),
        }
    }
}
