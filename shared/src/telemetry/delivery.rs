use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::clients::Collector;
use crate::telemetry::outbox::Outbox;

/// For so long a collector that failed is left alone: whoever is served meanwhile does not wait for it.
const REST: Duration = Duration::from_secs(30);

/// Sends what gathers in an outbox to a collector.
pub(super) struct Delivery {
    collector: Collector,
    /// Makes messages of what gathered.
    pack: Box<dyn Fn() -> Packed + Send + Sync>,
    what: &'static str,
    resting_until: Mutex<Option<Instant>>,
}

/// What was waiting.
pub(super) struct Packed {
    /// The bodies to send, one after another.
    messages: Vec<Bytes>,
    /// What had no room meanwhile.
    dropped: u64,
}

impl Delivery {
    /// Delivers `what` waits in the outbox, in the messages that `pack` makes of it.
    pub(super) fn new<T: Send + 'static>(
        what: &'static str,
        collector: Collector,
        outbox: Arc<Outbox<T>>,
        pack: impl Fn(Vec<T>) -> Vec<Bytes> + Send + Sync + 'static,
    ) -> Self {
        let pack = move || {
            let waiting = outbox.take();
            let messages = if waiting.is_empty() { Vec::new() } else { pack(waiting) };
            Packed { messages, dropped: outbox.take_dropped() }
        };
        Self { collector, pack: Box::new(pack), what, resting_until: Mutex::default() }
    }

    /// Sends what waits, unless the collector is left alone.
    pub(super) async fn flush(&self) {
        if self.rests() {
            return;
        }
        let Packed { messages, dropped } = (self.pack)();
        let mut failure = None;
        for message in messages {
            let sent = match self.collector.send(message.clone()).await {
                // A connection may have died while the environment was frozen.
                Err(error) if error.is_broken() => self.collector.send(message).await,
                sent => sent,
            };
            if let Err(error) = sent {
                failure = Some(error);
                break;
            }
        }
        if let Some(error) = failure {
            *self.resting_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
            // At most once in that time, so it does no harm that it is no part of a request.
            tracing::warn!(what = self.what, %error, "a collector did not take what it was sent and is left alone");
        }
        if dropped > 0 {
            tracing::warn!(what = self.what, dropped, "more gathered than is kept for a collector");
        }
    }

    fn rests(&self) -> bool {
        let mut until = self.resting_until.lock().unwrap_or_else(PoisonError::into_inner);
        match *until {
            Some(instant) if instant > Instant::now() => true,
            _ => {
                *until = None;
                false
            }
        }
    }
}
