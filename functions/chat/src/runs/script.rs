//! The scripts, with their arguments and replies as types. The scripts themselves say what each is.

use std::sync::Arc;
use std::time::Duration;

use shared::clients::{CacheError, Redis, Script};
use shared::door::Spending;
use shared::tenancy::{ConversationId, MessageId, TenantId, UserId};

use super::{LEASE, Named, Ticket};

/// How long a log is kept after its last event.
const KEEP: Duration = Duration::from_mins(10);
/// The most bytes of a log. An answer that is longer cannot be resumed.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Events that are read at once. Few of them are long.
const AT_ONCE: usize = 64;

/// The slots of a tenant, and of a user.
pub(super) fn slot_keys(tenant: &TenantId, user: &UserId) -> [String; 2] {
    [format!("{{{tenant}}}:streams"), format!("{{{tenant}}}:streams:{user}")]
}

/// Which run answers in a conversation.
pub(super) fn conversation_key(tenant: &TenantId, conversation: ConversationId) -> String {
    format!("{{{tenant}}}:answering:{conversation}")
}

/// A run, and its events.
fn run_keys(tenant: &TenantId, run: MessageId) -> [String; 2] {
    [format!("{{{tenant}}}:run:{run}"), format!("{{{tenant}}}:run:{run}:events")]
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// There is none, or it is somebody else's.
    None,
    /// It is being made.
    Live,
    /// It is at its end.
    Ended,
    /// Whoever made it is gone.
    Dead,
    /// Its events are not all there.
    Lost,
}

/// What is told of a run.
pub(super) struct Told<'a> {
    pub(super) is_ended: bool,
    /// Whether events are missing.
    pub(super) is_lost: bool,
    /// The number of the first event.
    pub(super) first: u64,
    pub(super) events: &'a [String],
}

/// The scripts.
#[derive(Clone)]
pub(super) struct Scripts(Arc<[Script; 5]>);

impl Scripts {
    pub(super) fn new() -> Self {
        Self(Arc::new([
            Script::new(include_str!("take.lua")),
            Script::new(include_str!("release.lua")),
            Script::new(include_str!("append.lua")),
            Script::new(include_str!("follow.lua")),
            Script::new(include_str!("stop.lua")),
        ]))
    }

    /// `take.lua`: the limit that is reached; empty if none is.
    pub(super) async fn take(&self, redis: &Redis, slot: &Ticket, limits: Spending) -> Result<String, CacheError> {
        let [take, ..] = &*self.0;
        let call = take.call(&slot.keys).arg(&slot.name).arg(millis(LEASE));
        call.arg(limits.tenant_streams).arg(limits.user_streams).run(redis).await
    }

    /// `release.lua`.
    pub(super) async fn release(&self, redis: &Redis, slot: &Ticket) -> Result<(), CacheError> {
        let [_, release, ..] = &*self.0;
        release.call(&slot.keys).arg(&slot.name).run::<i64>(redis).await.map(|_| ())
    }

    /// `append.lua`: whether the run is to stop.
    pub(super) async fn append(
        &self,
        redis: &Redis,
        run: &Named,
        slot: &Ticket,
        conversation: ConversationId,
        told: Told<'_>,
    ) -> Result<bool, CacheError> {
        let [_, _, append, ..] = &*self.0;
        let ([hash, events], [of_tenant, of_user]) = (run_keys(&run.tenant, run.id), slot.keys.clone());
        let keys = [hash, events, of_tenant, of_user, conversation_key(&run.tenant, conversation)];
        let call = append.call(&keys).arg(run.id.to_string()).arg(&slot.name).arg(&run.owner).arg(millis(LEASE));
        let mut call = call
            .arg(KEEP.as_secs())
            .arg(MOST_BYTES)
            .arg(u8::from(told.is_ended))
            .arg(u8::from(told.is_lost))
            .arg(told.first);
        for event in told.events {
            call = call.arg(event);
        }
        call.run::<bool>(redis).await
    }

    /// `follow.lua`: how the run stands, and what happened after an event, each with its number.
    pub(super) async fn follow(
        &self,
        redis: &Redis,
        run: &Named,
        after: u64,
    ) -> Result<(Standing, Vec<(u64, String)>), CacheError> {
        let [_, _, _, follow, _] = &*self.0;
        let call = follow.call(&run_keys(&run.tenant, run.id)).arg(&run.owner).arg(after).arg(AT_ONCE);
        let reply: Vec<String> = call.run(redis).await?;
        let standing = match reply.first().map(String::as_str) {
            Some("live") => Standing::Live,
            Some("ended") => Standing::Ended,
            Some("dead") => Standing::Dead,
            Some("lost") => Standing::Lost,
            _ => Standing::None,
        };
        let (pairs, _) = reply.get(1..).unwrap_or_default().as_chunks::<2>();
        let events = pairs.iter().filter_map(|[number, event]| Some((number.parse().ok()?, event.clone())));
        Ok((standing, events.collect()))
    }

    /// `stop.lua`: whether there is such a run.
    pub(super) async fn stop(&self, redis: &Redis, run: &Named) -> Result<bool, CacheError> {
        let [_, _, _, _, stop] = &*self.0;
        let [hash, _] = run_keys(&run.tenant, run.id);
        // Even if the cache failed just now: somebody waits for it.
        stop.call(&[hash]).arg(&run.owner).insist(redis).await
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
