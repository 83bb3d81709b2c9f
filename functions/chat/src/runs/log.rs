use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use shared::clients::{CacheError, Redis};
use shared::tenancy::ConversationId;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::script::{Scripts, Told};
use super::{Named, Ticket};
use crate::event::Event;

/// How often the log is told what happened, that the run lives, and asked whether it is to stop. A run is stopped so much later
/// at most, and a command is sent so often.
const EVERY: Duration = Duration::from_millis(100);
/// What is told at once, in bytes.
const AT_ONCE: usize = 256 * 1024;
/// What waits for a cache that is away, in bytes. With more, the run cannot be resumed any more.
const MOST_WAITING: usize = 1024 * 1024;

/// What is written down of a run, so that others can follow it and stop it.
pub(super) struct Log {
    redis: Redis,
    scripts: Scripts,
    run: Named,
    slot: Ticket,
    conversation: ConversationId,
    stop: watch::Sender<bool>,
    /// Events as JSON that the log does not have for certain.
    waiting: VecDeque<String>,
    /// Their bytes.
    size: usize,
    /// The number of the first of them.
    first: u64,
    is_ended: bool,
    is_lost: bool,
    /// What is being told, with the number of events in it.
    telling: Option<BoxFuture<'static, (usize, Result<bool, CacheError>)>>,
    tick: Interval,
    /// Whether the cache was left alone when it was to be told last.
    is_resting: bool,
}

impl Log {
    pub(super) fn new(
        redis: &Redis,
        scripts: Scripts,
        run: Named,
        slot: Ticket,
        conversation: ConversationId,
        stop: watch::Sender<bool>,
    ) -> Self {
        let mut tick = tokio::time::interval_at(Instant::now() + EVERY, EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            redis: redis.clone(),
            scripts,
            run,
            slot,
            conversation,
            stop,
            waiting: VecDeque::new(),
            size: 0,
            first: 1,
            is_ended: false,
            is_lost: false,
            telling: None,
            tick,
            is_resting: false,
        }
    }

    /// Enters the run, so that it can be followed and stopped before its first event is sent.
    pub(super) async fn open(&mut self) {
        if self.redis.is_configured() {
            self.tell();
            self.heard().await;
        }
    }

    /// Writes down an event, in a while.
    pub(super) fn push(&mut self, event: &Event) {
        if self.is_lost || !self.redis.is_configured() {
            return;
        }
        let json = serde_json::to_string(event).unwrap_or_default();
        self.size += json.len();
        self.waiting.push_back(json);
        if self.size > MOST_WAITING {
            self.is_lost = true;
            (self.size, self.waiting) = (0, VecDeque::new());
        }
    }

    /// Tells the log what there is to tell, for ever. It may be dropped at any point and called again.
    pub(super) async fn tend(&mut self) -> Infallible {
        if !self.redis.is_configured() {
            return std::future::pending().await;
        }
        loop {
            if self.telling.is_none() {
                self.tick.tick().await;
                self.tell();
            }
            self.heard().await;
        }
    }

    /// Tells all that is left, and that the run is at its end, for so long at most, and unless the cache is left alone; whether
    /// it was heard. Otherwise it may be called again.
    pub(super) async fn close(&mut self, limit: Duration) -> bool {
        if !self.redis.is_configured() {
            return true;
        }
        let last_words = async {
            self.heard().await;
            (self.is_ended, self.is_resting) = (true, false);
            while !self.is_resting {
                self.tell();
                if self.heard().await && self.waiting.is_empty() {
                    return true;
                }
            }
            false
        };
        tokio::time::timeout(limit, last_words).await.unwrap_or(false)
    }

    /// Begins to tell.
    fn tell(&mut self) {
        let mut size = 0;
        let batch: Vec<String> = self
            .waiting
            .iter()
            .take_while(|event| {
                let fits = size == 0 || size + event.len() <= AT_ONCE;
                size += event.len();
                fits
            })
            .cloned()
            .collect();
        let (redis, scripts) = (self.redis.clone(), self.scripts.clone());
        let (run, slot) = (self.run.clone(), self.slot.clone());
        let (conversation, first, is_lost) = (self.conversation, self.first, self.is_lost);
        let is_ended = self.is_ended && batch.len() == self.waiting.len();
        let telling = async move {
            let told = Told { is_ended, is_lost, first, events: &batch };
            (batch.len(), scripts.append(&redis, &run, &slot, conversation, told).await)
        };
        self.telling = Some(telling.boxed());
    }

    /// Waits for the answer to what was told, if anything was; whether it was heard.
    async fn heard(&mut self) -> bool {
        let Some(telling) = &mut self.telling else { return false };
        let (told, answer) = telling.await;
        self.telling = None;
        self.is_resting = matches!(answer, Err(CacheError::Resting));
        match answer {
            Ok(is_to_stop) => {
                // There may be fewer, if the log was given up meanwhile.
                for event in self.waiting.drain(..told.min(self.waiting.len())) {
                    self.size -= event.len();
                }
                self.first += told as u64;
                if is_to_stop {
                    self.stop.send_replace(true);
                }
                true
            }
            Err(error) => {
                // What was told is told again. The log knows by their numbers what it has.
                tracing::debug!(%error, "an answer is made without its log");
                false
            }
        }
    }
}
