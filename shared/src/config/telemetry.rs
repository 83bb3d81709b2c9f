use super::{ConfigError, Variables};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person at a terminal.
    Text,
    /// One JSON object a line, for CloudWatch.
    Json,
}

/// What is logged.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// `LOG_LEVEL`: a level such as `info`, or levels by target such as `info,shared=debug` (`info`).
    pub level: String,
    /// `LOG_FORMAT`: `text` or `json` (`text`).
    pub format: LogFormat,
}

impl TelemetryConfig {
    /// Reads the variables named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            level: variables.text("LOG_LEVEL", "info"),
            format: variables.choice("LOG_FORMAT", &[("text", LogFormat::Text), ("json", LogFormat::Json)])?,
        })
    }
}
