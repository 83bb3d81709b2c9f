use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use shared::tenancy::MessageId;
use shared::{acting, metrics};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::Instrument;

use super::UnderWay;
use super::log::Log;
use crate::event::{Event, FinishReason};

/// Events that wait for a client that reads slowly. Nothing more is made until it has read.
const WAITING: usize = 16;
/// How long the last event waits for the log to have it.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How often the end is told to a log that was out of reach, where nobody waits for it, and the wait before each time.
const AFTERWARDS: (usize, Duration) = (10, Duration::from_secs(1));
/// How long a client may read nothing; then its answer is made without it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A run on its way: numbers what happens, and has it written down beside.
pub(super) struct Drive {
    events: BoxStream<'static, Event>,
    log: Log,
    stop: watch::Receiver<bool>,
    number: u64,
    /// When the answer was asked for.
    asked: Instant,
    has_said: bool,
    is_ended: bool,
    /// Whether the log has the end.
    is_logged: bool,
    /// Held until the end.
    under_way: Option<UnderWay>,
    id: MessageId,
}

impl Drive {
    pub(super) fn new(
        log: Log,
        stop: &watch::Sender<bool>,
        events: BoxStream<'static, Event>,
        under_way: UnderWay,
        asked: Instant,
    ) -> Self {
        let id = under_way.id;
        Self {
            events,
            log,
            stop: stop.subscribe(),
            number: 0,
            asked,
            has_said: false,
            is_ended: false,
            is_logged: false,
            under_way: Some(under_way),
            id,
        }
    }

    /// The events, which are made while they are read.
    pub(super) fn while_read(self) -> BoxStream<'static, (u64, Event)> {
        stream::unfold(self, async |mut drive| drive.next().await.map(|event| (event, drive))).boxed()
    }

    /// The events, which a task makes to their end, whatever becomes of the reader.
    pub(super) fn by_task(mut self) -> BoxStream<'static, (u64, Event)> {
        let (sender, mut receiver) = mpsc::channel(WAITING);
        let made = async move {
            let mut reader = Some(sender);
            while let Some(event) = self.next().await {
                if let Some(sender) = &reader
                    && !self.hand_over(sender, event).await
                {
                    reader = None;
                }
            }
            drop(reader);
            self.end_log().await;
        };
        tokio::spawn(acting::onward(made).in_current_span());
        stream::poll_fn(move |context| receiver.poll_recv(context)).boxed()
    }

    /// What happens next. The log has the last event before the client sees it, and the slot is free.
    async fn next(&mut self) -> Option<(u64, Event)> {
        if self.is_ended {
            return None;
        }
        let event = tokio::select! {
            biased;
            never = self.log.tend() => match never {},
            event = self.events.next() => event,
        };
        // An answer always says that it ends.
        let event = event.unwrap_or(Event::Done { finish_reason: FinishReason::Error, message_id: self.id });
        self.number += 1;
        self.log.push(&event);
        match &event {
            Event::ToolResult { error, .. } => {
                metrics::CHAT_TOOL_CALLS.add_of(if error.is_some() { "failed" } else { "done" }, 1);
            }
            Event::Delta { .. } if !self.has_said => {
                self.has_said = true;
                metrics::CHAT_FIRST_TOKEN.took(self.asked.elapsed());
            }
            Event::Done { finish_reason, .. } => {
                metrics::CHAT_ANSWER.took_of(finish_reason.name(), self.asked.elapsed());
                self.is_logged = self.log.close(LAST_WORDS).await;
                self.is_ended = true;
                self.under_way = None;
            }
            _ => {}
        }
        Some((self.number, event))
    }

    /// Has the end written down that could not be when it came.
    async fn end_log(&mut self) {
        let (times, wait) = AFTERWARDS;
        for _ in 0..times {
            if self.is_logged {
                return;
            }
            tokio::time::sleep(wait).await;
            self.is_logged = self.log.close(LAST_WORDS).await;
        }
        if !self.is_logged {
            tracing::debug!(run = %self.id, "the log of an answer has no end");
        }
    }

    /// Hands an event to the reader, and keeps the run alive while it waits; whether there still is a reader.
    async fn hand_over(&mut self, reader: &mpsc::Sender<(u64, Event)>, event: (u64, Event)) -> bool {
        let is_ended = self.is_ended;
        let Self { log, stop, .. } = self;
        let stopped = async {
            if stop.wait_for(|stopped| *stopped).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            sent = reader.send(event) => sent.is_ok(),
            never = log.tend(), if !is_ended => match never {},
            // Nobody reads: the run is not to wait for that.
            () = stopped, if !is_ended => false,
            () = tokio::time::sleep(PATIENCE) => {
                tracing::info!(run = %self.id, "an answer is made without its reader");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt;
    use shared::clients::Builder;
    use shared::config::Variables;
    use shared::door::Spending;
    use shared::tenancy::{ConversationId, Principal, Role};

    use super::*;
    use crate::runs::{Process, Runs};

    /// More than wait for a reader.
    const DELTAS: usize = 5 * WAITING;

    fn ada() -> Principal {
        Principal {
            tenant: "acme".parse().unwrap(),
            user: "ada".parse().unwrap(),
            key: None,
            role: Role::Viewer,
            email: None,
            name: None,
            collections: Arc::default(),
            editions: Arc::default(),
        }
    }

    /// A run of this process that says something `DELTAS` times, whatever reads it.
    async fn begun(runs: &Runs) -> BoxStream<'static, (u64, Event)> {
        let slot = runs.admit(&ada(), Spending::default()).await.unwrap();
        let id = MessageId::new();
        let said = stream::repeat(Event::Delta { text: "word ".to_owned() }).take(DELTAS);
        let done = Event::Done { finish_reason: FinishReason::Stop, message_id: id };
        let events = said.chain(stream::iter([done])).boxed();
        slot.begin(id, ConversationId::new(), watch::Sender::new(false), events).await
    }

    async fn runs() -> Runs {
        let without_a_cache = Builder::new(Variables::default()).await.unwrap().redis().unwrap();
        Runs::new(&without_a_cache, Process::LivesOn, 1.0)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_waits_for_its_reader_and_then_is_made_without() {
        let runs = runs().await;
        let mut events = begun(&runs).await;
        assert_eq!(events.next().await.map(|(number, _)| number), Some(1));
        tokio::time::sleep(PATIENCE * 9 / 10).await;
        assert_eq!(runs.here().len(), 1, "it waits");
        tokio::time::sleep(PATIENCE / 5).await;
        assert!(runs.here().is_empty(), "it has come to its end");
        // Whoever reads on finds what waited, and no end that was not read in time.
        let left: Vec<_> = events.collect().await;
        assert_eq!(left.len(), WAITING);
        assert!(left.iter().all(|(_, event)| matches!(event, Event::Delta { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_whose_reader_is_slow_is_read_to_its_end() {
        let runs = runs().await;
        let mut events = begun(&runs).await;
        let mut numbers = Vec::new();
        while let Some((number, _)) = events.next().await {
            numbers.push(number);
            tokio::time::sleep(PATIENCE / 2).await;
        }
        assert_eq!(numbers, (1..=DELTAS as u64 + 1).collect::<Vec<_>>());
        assert!(runs.here().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_whose_reader_is_gone_is_made_to_its_end() {
        let runs = runs().await;
        drop(begun(&runs).await);
        assert_eq!(runs.here().len(), 1);
        let ended = async {
            while !runs.here().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(1), ended).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_breaks_off_says_that_it_ends() {
        let runs = runs().await;
        let slot = runs.admit(&ada(), Spending::default()).await.unwrap();
        let id = MessageId::new();
        let broken = stream::once(std::future::ready(Event::Delta { text: "word".to_owned() })).boxed();
        let mut events = slot.begin(id, ConversationId::new(), watch::Sender::new(false), broken).await;
        assert!(matches!(events.next().await, Some((1, Event::Delta { .. }))));
        let end = events.next().await;
        assert!(
            matches!(end, Some((2, Event::Done { finish_reason: FinishReason::Error, message_id })) if message_id == id)
        );
        assert_eq!(events.next().now_or_never(), Some(None));
    }
}
