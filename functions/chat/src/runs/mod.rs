//! Answers while they are made: how many there may be, the log by which a client that lost its stream goes on in it, and how
//! they are stopped, from other processes too.
//!
//! Redis holds the slots and the logs; without it answers are made all the same, within a share of the slots, and only what
//! other processes would need is gone.

mod drive;
mod follow;
mod log;
mod script;
mod slots;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::BoxStream;
use shared::clients::{CacheError, Redis};
use shared::door::Spending;
use shared::error::Error;
use shared::metrics::{self, InProgress};
use shared::tenancy::{ConversationId, MessageId, Principal, Subject, TenantId};
use tokio::sync::watch;
use tokio::time::Instant;

use self::drive::Drive;
pub(crate) use self::follow::Followed;
use self::log::Log;
use self::script::Scripts;
use self::slots::{Counted, Counts};
use crate::event::Event;

/// How long a run lives without a word: a process that is gone shows so much later. Also how long its slots last.
const LEASE: Duration = Duration::from_secs(6);
/// When there may be a slot again; most answers take a few seconds.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How long the cache may be out of reach for who waits for it, and the wait before it is asked again.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(100));
/// How often it is looked whether all answers are at their end.
const LOOK: Duration = Duration::from_millis(20);

/// What becomes of a process once it has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// It lives on. An answer is made by a task, whether or not somebody reads it.
    LivesOn,
    /// It may be frozen. An answer is made while it is read; Lambda reads all of it, even if the client is gone.
    IsFrozen,
}

/// The runs of a process. Clones share them.
#[derive(Clone)]
pub struct Runs(Arc<Inner>);

struct Inner {
    redis: Redis,
    scripts: Scripts,
    process: Process,
    /// Of the slots, for one process alone.
    share: f32,
    counts: Arc<Counts>,
    here: Mutex<HashMap<MessageId, Here>>,
}

/// A run of this process.
struct Here {
    tenant: TenantId,
    owner: String,
    stop: watch::Sender<bool>,
}

/// The right to make an answer.
pub(crate) struct Slot {
    runs: Runs,
    caller: Principal,
    ticket: Ticket,
    counted: Counted,
    /// When it was asked for.
    asked: Instant,
}

/// A slot by what names it in Redis: it is taken before the answer has its id.
#[derive(Debug, Clone)]
struct Ticket {
    name: String,
    /// Where the slots of the tenant are kept, and those of the user.
    keys: [String; 2],
}

/// A run by all that names it in Redis.
#[derive(Debug, Clone)]
struct Named {
    id: MessageId,
    tenant: TenantId,
    owner: String,
}

impl Runs {
    /// No runs yet. While the cache is away, this process gives `share` of the slots.
    pub fn new(redis: &Redis, process: Process, share: f32) -> Self {
        Self(Arc::new(Inner {
            redis: redis.clone(),
            scripts: Scripts::new(),
            process,
            share: if redis.is_configured() { share } else { 1.0 },
            counts: Arc::default(),
            here: Mutex::default(),
        }))
    }

    /// Takes a slot for an answer; [`Error::TooManyStreams`] if there are as many as the tenant or the user may have.
    pub(crate) async fn admit(&self, caller: &Principal, spending: Spending) -> Result<Slot, Error> {
        let (Self(inner), asked) = (self, Instant::now());
        // A key counts as the user who made it, or who makes keys had more than others.
        let keys = script::slot_keys(&caller.tenant, &caller.user);
        let ticket = Ticket { name: MessageId::new().to_string(), keys };
        let (counted, tenant, user) = Counts::count(&inner.counts, &caller.tenant, &caller.user);
        let limits = [("user_streams", spending.user_streams), ("tenant_streams", spending.tenant_streams)];
        let reached = match inner.scripts.take(&inner.redis, &ticket, spending).await {
            Ok(reached) => limits.into_iter().find(|(policy, _)| reached == *policy),
            Err(error) => {
                tracing::debug!(%error, "answers are counted without the cache");
                let share = limits.map(|(policy, limit)| (policy, slots::share(limit, inner.share)));
                share.into_iter().zip([user, tenant]).find(|((_, limit), count)| count > limit).map(|(of, _)| of)
            }
        };
        if let Some((policy, limit)) = reached {
            metrics::CHAT_STREAMS_REFUSED.add_of(policy, 1);
            return Err(Error::TooManyStreams { policy, limit, retry_after: RETRY_AFTER });
        }
        Ok(Slot { runs: self.clone(), caller: caller.clone(), ticket, counted, asked })
    }

    /// The answer that is being made in a conversation of the caller, if one is.
    pub(crate) async fn active(&self, caller: &Principal, conversation: ConversationId) -> Option<MessageId> {
        let Self(inner) = self;
        let mut command = redis::cmd("GET");
        command.arg(script::conversation_key(&caller.tenant, conversation));
        let found = inner.redis.query::<Option<String>>(&command).await;
        found
            .inspect_err(|error| tracing::debug!(%error, "the answer of a conversation is unknown"))
            .ok()??
            .parse()
            .ok()
    }

    /// What happened in a run of the caller after an event, and what happens; [`Error::NotFound`] if the caller has none by
    /// this id, or has not any more.
    pub(crate) async fn follow(&self, caller: &Principal, id: MessageId, after: u64) -> Result<Followed, Error> {
        follow::follow(self, Named::new(caller, id), after).await
    }

    /// Asks a run of the caller to stop, wherever it is made; [`Error::NotFound`] if the caller has none by this id, or has not
    /// any more.
    pub(crate) async fn stop(&self, caller: &Principal, id: MessageId) -> Result<(), Error> {
        let Self(inner) = self;
        let run = Named::new(caller, id);
        let is_here = match self.here().get(&id) {
            Some(here) if here.tenant == run.tenant && here.owner == run.owner => {
                here.stop.send_replace(true);
                true
            }
            _ => false,
        };
        if is_here {
            return Ok(());
        }
        match patiently(|| inner.scripts.stop(&inner.redis, &run)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::NotFound),
            Err(error) => Err(Error::unavailable(error.to_string())),
        }
    }

    /// Stops all runs of this process, and waits for their ends, but no longer than this.
    pub async fn stop_all(&self, limit: Duration) {
        let ended = async {
            while !self.here().is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        };
        for here in self.here().values() {
            here.stop.send_replace(true);
        }
        if tokio::time::timeout(limit, ended).await.is_err() {
            tracing::warn!("answers were cut");
        }
    }

    fn here(&self) -> std::sync::MutexGuard<'_, HashMap<MessageId, Here>> {
        self.0.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Begins the run of an answer: it can be followed and stopped from here on. The events are numbered from 1; `stop` ends
    /// them early, and they end with [`Event::Done`].
    pub(crate) async fn begin(
        self,
        id: MessageId,
        conversation: ConversationId,
        stop: watch::Sender<bool>,
        events: BoxStream<'static, Event>,
    ) -> BoxStream<'static, (u64, Event)> {
        let Self { runs, caller, ticket, counted, asked } = self;
        let (Runs(inner), run) = (&runs, Named::new(&caller, id));
        let here = Here { tenant: run.tenant.clone(), owner: run.owner.clone(), stop: stop.clone() };
        runs.here().insert(run.id, here);
        let under_way = UnderWay { runs: runs.clone(), id, _counted: counted, _streams: metrics::CHAT_STREAMS.begin() };
        let mut log = Log::new(&inner.redis, inner.scripts.clone(), run, ticket, conversation, stop.clone());
        log.open().await;
        let drive = Drive::new(log, &stop, events, under_way, asked);
        match inner.process {
            Process::LivesOn => drive.by_task(),
            Process::IsFrozen => drive.while_read(),
        }
    }

    /// Gives the slot back.
    pub(crate) async fn release(self) {
        let Runs(inner) = &self.runs;
        if let Err(error) = inner.scripts.release(&inner.redis, &self.ticket).await {
            tracing::debug!(%error, "a slot was not given back");
        }
    }
}

/// That a run is under way in this process, until it is dropped.
struct UnderWay {
    runs: Runs,
    id: MessageId,
    _counted: Counted,
    _streams: InProgress,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.runs.here().remove(&self.id);
    }
}

impl Named {
    fn new(caller: &Principal, id: MessageId) -> Self {
        let owner = match caller.subject() {
            Subject::User(user) => format!("user:{user}"),
            Subject::Key(key) => format!("key:{key}"),
        };
        Self { id, tenant: caller.tenant.clone(), owner }
    }
}

/// Asks the cache, and again for a while if it is out of reach: it may be back in a moment.
async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, CacheError>
where
    F: Future<Output = Result<T, CacheError>>,
{
    let ((limit, wait), begun) = (PATIENCE, Instant::now());
    loop {
        match ask().await {
            Err(error) if begun.elapsed() < limit && !matches!(error, CacheError::NotConfigured) => {
                tokio::time::sleep(wait).await;
            }
            heard => return heard.inspect_err(|error| tracing::debug!(%error, "a run is out of reach")),
        }
    }
}
