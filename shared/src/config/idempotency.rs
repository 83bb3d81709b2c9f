use std::time::Duration;

use super::{ConfigError, Variables};

/// How answers to requests with an `Idempotency-Key` are kept.
#[derive(Debug, Clone, Copy)]
pub struct IdempotencyConfig {
    /// `IDEMPOTENCY_KEEP_SECONDS`: for how long a repeated request gets the same answer (86400, a day).
    pub keep: Duration,
    /// `IDEMPOTENCY_LOCK_SECONDS`: after so long a request that left no answer counts as dead, and its repetition runs (60).
    /// It must be more than a request can take on any route that is idempotent, or two of them run side by side.
    pub lock: Duration,
}

impl IdempotencyConfig {
    /// Reads the variables named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        let seconds = |name, default, most| variables.number(name, default, 1..=most).map(Duration::from_secs);
        Ok(Self {
            keep: seconds("IDEMPOTENCY_KEEP_SECONDS", 86_400, 2_592_000)?,
            lock: seconds("IDEMPOTENCY_LOCK_SECONDS", 60, 900)?,
        })
    }
}
