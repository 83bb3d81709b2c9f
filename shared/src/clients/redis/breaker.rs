use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::CacheError;
use crate::metrics;

/// Leaves a failing server alone: after some failures in a row nobody asks it for a while, then one request tries.
pub(super) struct Breaker {
    failures: u32,
    rest: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Failures since the last success.
    failures: u32,
    /// Until when nobody asks; whoever comes then moves it on before trying, so that the others go on waiting.
    rests_until: Option<Instant>,
}

impl Breaker {
    /// A breaker that opens after `failures` in a row, for `rest`.
    pub(super) fn new(failures: u32, rest: Duration) -> Self {
        Self { failures, rest, state: Mutex::default() }
    }

    /// Whether a request may be sent.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let mut state = self.state();
        match state.rests_until {
            Some(until) if now < until => false,
            Some(_) => {
                state.rests_until = Some(now + self.rest);
                true
            }
            None => true,
        }
    }

    pub(super) fn succeeded(&self) {
        let mut state = self.state();
        if state.rests_until.is_some() {
            tracing::info!("the cache answers again");
            metrics::REDIS_BREAKER_OPEN.set(0.0);
        }
        *state = State::default();
    }

    /// Notes a failure; true if the server is left alone now. The line that says so is the only one of an outage: what follows
    /// from it, for each request, is no news.
    pub(super) fn failed(&self, error: &CacheError, now: Instant) -> bool {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let open = state.failures >= self.failures;
        if open {
            if state.rests_until.is_none() {
                tracing::warn!(%error, failures = state.failures, "the cache is left alone");
                metrics::REDIS_BREAKER_OPEN.set(1.0);
            }
            state.rests_until = Some(now + self.rest);
        }
        open
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_failures_in_a_row_nobody_asks_and_then_one_does() {
        let breaker = Breaker::new(3, Duration::from_secs(1));
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let failed = |millis| breaker.failed(&CacheError::TimedOut, at(millis));
        assert!(!failed(0));
        assert!(!failed(1));
        breaker.succeeded();
        assert!(!failed(2), "a success in between begins anew");
        assert!(!failed(3));
        assert!(breaker.allows(at(4)));
        assert!(failed(4));
        assert!(!breaker.allows(at(1_003)));
        assert!(breaker.allows(at(1_004)), "one tries");
        assert!(!breaker.allows(at(1_005)), "the others wait for it");
        breaker.succeeded();
        assert!(breaker.allows(at(1_006)));
    }
}
