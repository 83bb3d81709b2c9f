//! A steady load: users of several tenants do all that users do, whether or not what they did before is answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::world::World;

/// The time between two requests.
const PACE: Duration = Duration::from_millis(40);

/// What the tenants do, one after another.
const MIX: [Act; 20] = [
    Act::List,
    Act::Read,
    Act::Search,
    Act::Upload,
    Act::Chat,
    Act::Read,
    Act::List,
    Act::Search,
    Act::Rename,
    Act::ReadForeign,
    Act::Chat,
    Act::List,
    Act::Read,
    Act::Search,
    Act::Delete,
    Act::Chat,
    Act::ReadDeleted,
    Act::List,
    Act::Search,
    Act::Read,
];

/// What a user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    List,
    Read,
    Search,
    Chat,
    Upload,
    Rename,
    Delete,
    /// Asks for a document that was deleted, which is not to be found.
    ReadDeleted,
    /// Asks for a document of another tenant, which is not to be found.
    ReadForeign,
}

impl Act {
    /// Whether its answer says what the cache had to do with it.
    pub(crate) fn is_cached(self) -> bool {
        matches!(self, Self::List | Self::Read | Self::Search)
    }
}

/// What it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// As it should, which may be that something is not found.
    Served,
    /// The same, without the cache.
    Bypassed,
    /// A problem that tells to come again later, and when.
    Refused,
    /// An answer that ended with an error, by its code, after what was said so far.
    Failed(String),
    /// Nothing: the connection broke, or there was none.
    Unanswered,
    /// What must never be.
    Wrong(String),
}

impl Seen {
    /// Whether what was asked for happened.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Served | Self::Bypassed)
    }
}

/// An act, and what it came to.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) act: Act,
    /// When it was sent.
    pub(crate) sent: Instant,
    /// How long after that it was at its end.
    pub(crate) took: Duration,
    pub(crate) seen: Seen,
}

/// A load that is under way.
pub(crate) struct Load {
    stop: oneshot::Sender<()>,
    samples: JoinHandle<Vec<Sample>>,
}

impl Load {
    /// Begins.
    pub(crate) fn begin(world: Arc<World>) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, samples: tokio::spawn(drive(world, stopped)) }
    }

    /// Sends no more, and waits for all answers.
    pub(crate) async fn end(self) -> Vec<Sample> {
        let _ = self.stop.send(());
        self.samples.await.expect("the load does not fail")
    }
}

async fn drive(world: Arc<World>, mut stopped: oneshot::Receiver<()>) -> Vec<Sample> {
    let mut ticks = tokio::time::interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut acts = JoinSet::new();
    for number in 0.. {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = &mut stopped => break,
        }
        let world = Arc::clone(&world);
        acts.spawn(async move {
            let (act, tenant) = (MIX[number / world.tenants.len() % MIX.len()], number % world.tenants.len());
            let sent = Instant::now();
            let seen = world.act(act, tenant, number).await;
            Sample { act, sent, took: sent.elapsed(), seen }
        });
    }
    let mut samples = acts.join_all().await;
    samples.sort_by_key(|sample| sample.sent);
    samples
}
