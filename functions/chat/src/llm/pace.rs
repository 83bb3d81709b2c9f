use std::future::Future;
use std::time::Duration;

use shared::config::LlmConfig;
use shared::error::ModelFault;
use tokio::time::Instant;

use super::LlmError;

/// How long a provider may be silent in a turn: so long until the first piece, retries included, and less between pieces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    until: Instant,
    allowed: Duration,
    idle: Duration,
}

impl Pace {
    /// That of a turn which begins now.
    pub(super) fn start(config: &LlmConfig) -> Self {
        let allowed = config.first_timeout;
        Self { until: Instant::now() + allowed, allowed, idle: config.idle_timeout }
    }

    /// When the silence has been too long.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// The provider said a part of the turn.
    pub(super) fn heard(&mut self) {
        self.wait(self.idle);
    }

    /// From now on it is given this time.
    pub(super) fn wait(&mut self, time: Duration) {
        (self.until, self.allowed) = (Instant::now() + time, time);
    }

    /// Waits for something as long as it may take.
    pub(super) async fn within<T>(&self, future: impl Future<Output = T>) -> Result<T, LlmError> {
        tokio::time::timeout_at(self.until, future)
            .await
            .map_err(|_| LlmError::new(ModelFault::TimedOut, format!("silent for {} ms", self.allowed.as_millis())))
    }
}
