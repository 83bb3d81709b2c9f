//! What an operator sees of a process: log lines, traces, and failures in Sentry. One subscriber for all of them.
//!
//! Work is done in spans of two kinds. A **root** ([`request`], [`job`]) is a request or a message; its fields without a dot
//! in their name stand in each log line that is written within, and all of them in its trace. A **step** ([`STEP`]) is a part
//! of it, of which only traces tell. A line at the level `ERROR` is a failure, and an event in Sentry.
//!
//! Nothing of it holds a body, a token, a prompt, a file name or an address; users stand in it by a hash ([`pseudonym`]).
//!
//! What goes elsewhere gathers in the process and is sent by [`Telemetry::flush`]: on Lambda after each answer, before the
//! environment is frozen, else once a second. A collector that is slow or away costs nothing but what it was not told.

mod delivery;
mod genai;
mod line;
mod logs;
mod outbox;
mod panics;
mod root;
mod sentry;
mod traceparent;
mod traces;
mod within;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

pub use self::genai::{GenAi, chat, embeddings, execute_tool, invoke_agent};
pub use self::panics::{Caught, caught};
pub(crate) use self::root::invocation;
pub use self::root::{Root, job, message, pseudonym, request};
pub use self::traceparent::Traceparent;
pub use self::within::Within;
use crate::clients::ClientError;
use crate::config::{ConfigError, TelemetryConfig, Variables};
use crate::metrics;
use crate::telemetry::delivery::Delivery;

/// The target of the spans of requests and messages.
pub(crate) const ROOT: &str = "ragline";
/// The target of the spans of requests and messages whose trace nobody is told of. To record what is not told would cost as much.
pub(crate) const UNTRACED: &str = "ragline::untraced";
/// The target of the spans of invocations of a worker, of which only log lines tell.
pub(crate) const INVOCATION: &str = "ragline::invocation";
/// The target of spans that are a part of a request or message: `info_span!(target: STEP, "what happens")`. Without a
/// collector they cost nothing.
pub const STEP: &str = "ragline::step";

/// How often a process that lives on sends what gathered.
const INTERVAL: Duration = Duration::from_secs(1);

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Telemetry could not begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A variable is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no client for a collector.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// What the process has yet to tell others.
#[derive(Clone, Default)]
pub struct Telemetry(Arc<[Delivery]>);

/// Starts telemetry. A second call in the same process changes nothing, so that tests may call it too.
pub fn init(config: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    let (mut layers, mut deliveries) = (vec![logs::layer(config)?], Vec::new());
    if let Some(config) = &config.traces {
        let (layer, delivery) = traces::start(config);
        layers.push(layer);
        deliveries.push(delivery);
    }
    if let Some(config) = &config.sentry {
        let (layer, delivery) = sentry::start(config)?;
        layers.push(layer);
        deliveries.push(delivery);
    }
    if tracing_subscriber::registry().with(layers).try_init().is_err() {
        return Ok(Telemetry::default());
    }
    panics::watch();
    Ok(Telemetry(deliveries.into()))
}

/// Starts telemetry as the environment says and returns the variables: the first line of every `main`.
pub fn init_from_process() -> Result<(Variables, Telemetry), TelemetryError> {
    let variables = Variables::from_process();
    let telemetry = init(&TelemetryConfig::from_variables(&variables)?)?;
    metrics::publish(&variables);
    Ok((variables, telemetry))
}

impl Telemetry {
    /// Sends what gathered; at most as long as the collectors' time limits.
    pub async fn flush(&self) {
        join_all(self.0.iter().map(Delivery::flush)).await;
    }

    /// Sends once a second, in a process that lives on. What gathered since the last time at its end, [`Self::flush`] sends.
    pub async fn keep_sending(self) {
        while !self.0.is_empty() {
            tokio::time::sleep(INTERVAL).await;
            self.flush().await;
        }
    }
}
