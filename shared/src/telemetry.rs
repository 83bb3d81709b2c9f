//! One subscriber for the process. Log lines carry fields, not prose; never a body, a token, a prompt or an address.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{ConfigError, LogFormat, TelemetryConfig, Variables};

/// Starts logging. A second call in the same process changes nothing, so that tests may call it too.
pub fn init(config: &TelemetryConfig) -> Result<(), ConfigError> {
    let filter = EnvFilter::try_new(&config.level).map_err(|_| ConfigError::Wrong {
        name: "LOG_LEVEL",
        value: config.level.clone(),
        allowed: "a level such as info, or target=level pairs".to_owned(),
    })?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _already_set = match config.format {
        LogFormat::Text => {
            subscriber.compact().with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init()
        }
        LogFormat::Json => subscriber.json().flatten_event(true).with_current_span(false).try_init(),
    };
    Ok(())
}

/// Starts logging as the environment says and returns the variables: the first line of every `main`.
pub fn init_from_process() -> Result<Variables, ConfigError> {
    let variables = Variables::from_process();
    init(&TelemetryConfig::from_variables(&variables)?)?;
    Ok(variables)
}
