use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;

use super::turn::Step;

/// When the next piece is due. Pauses are counted from one another, so that late timers do not add up.
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Waits as long as a step that is a wait says.
    pub(super) async fn wait(&mut self, step: &Step) {
        match step {
            Step::Pause(pause) => {
                self.0 += *pause;
                tokio::time::sleep_until(self.0).await;
            }
            Step::Gate(gate) => {
                gate.acquire().await.expect("a gate is not closed").forget();
                self.0 = Instant::now();
            }
            _ => {
                forever().await;
            }
        }
    }
}

/// Until the client goes.
pub(super) async fn forever() -> Infallible {
    loop {
        tokio::time::sleep(Duration::from_hours(24)).await;
    }
}
