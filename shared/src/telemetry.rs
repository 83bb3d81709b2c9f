//! One subscriber for the process. Log lines carry fields, not prose; never a body, a token, a prompt or an address.

use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::{ConfigError, LogFormat, TelemetryConfig, Variables};
use crate::metrics;

/// Starts logging. A second call in the same process changes nothing, so that tests may call it too.
pub fn init(config: &TelemetryConfig) -> Result<(), ConfigError> {
    let filter: Targets = config.level.parse().map_err(|_| ConfigError::Wrong {
        name: "LOG_LEVEL",
        value: config.level.clone(),
        allowed: "a level such as info, or target=level pairs".to_owned(),
    })?;
    let lines = fmt::layer::<Registry>().with_writer(std::io::stderr);
    let lines = match config.format {
        LogFormat::Text => lines.compact().with_target(false).with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
    };
    let _already_set = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
    Ok(())
}

/// Starts logging as the environment says and returns the variables: the first line of every `main`.
pub fn init_from_process() -> Result<Variables, ConfigError> {
    let variables = Variables::from_process();
    init(&TelemetryConfig::from_variables(&variables)?)?;
    metrics::publish(&variables);
    Ok(variables)
}
