//! What a fault is, as data.

use std::time::Duration;

use crate::load::{Act, Seen};

/// A fault: what is done to which part for how long, and what may be seen of it.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) harm: Harm,
    pub(crate) lasts: Duration,
    pub(crate) policy: &'static Policy,
    /// Whether it is among the few that are tried with all other tests.
    pub(crate) is_usual: bool,
}

/// Who is reached over the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Cache,
    Database,
    Model,
    Embedder,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Each byte comes so much later, each way.
    Slow(Part, Duration),
    /// All connections are reset, ten times a second.
    Resets(Part),
    /// Nothing passes, and nobody is told. Afterwards new connections work, and those from before never again.
    Silent(Part),
    /// The same at one moment, of the connections that stand.
    HalfOpen(Part),
    /// Nobody listens.
    Gone(Part),
    /// The cache loses all that it knows.
    Forgets,
    /// The database turns everything away, as when it throttles.
    Throttles,
    /// No file of the server, with its database, can be written any more.
    FullDisk,
    /// The clock of the server is set forward, or back, and afterwards right.
    Clock(&'static str),
    /// More connections are opened to the server than it may have descriptors.
    Descriptors,
    /// The server is killed, and started again over what it left.
    Killed,
}

/// What users may see of a fault.
pub(crate) struct Policy {
    /// What an act may come to while the fault lasts.
    pub(crate) allows: fn(Act, &Seen) -> bool,
    /// The acts that show whether it is over.
    pub(crate) shown_by: fn(Act) -> bool,
    /// What some of them must come to, or the fault was none.
    pub(crate) shows: Option<fn(&Seen) -> bool>,
    /// The longest that an answer may take.
    pub(crate) longest: Duration,
    /// The most warnings and errors that the server may log, where that is not one for each request that failed.
    pub(crate) lines: Option<usize>,
}

impl Fault {
    pub(crate) const fn new(name: &'static str, harm: Harm, seconds: u64, policy: &'static Policy) -> Self {
        Self { name, harm, lasts: Duration::from_secs(seconds), policy, is_usual: false }
    }

    /// One that is tried with all other tests.
    pub(crate) const fn usual(self) -> Self {
        Self { is_usual: true, ..self }
    }
}

impl Harm {
    /// Whether the database can be written meanwhile, and the server is there to do so.
    pub(crate) fn spares_the_database(self) -> bool {
        match self {
            Self::Slow(part, _) | Self::Resets(part) | Self::Silent(part) | Self::HalfOpen(part) | Self::Gone(part) => {
                part != Part::Database
            }
            Self::Forgets | Self::Clock(_) => true,
            Self::Throttles | Self::FullDisk | Self::Descriptors | Self::Killed => false,
        }
    }

    /// Whether it is done to a server with a database of its own, in its folder.
    pub(crate) fn is_of_the_folder(self) -> bool {
        matches!(self, Self::FullDisk | Self::Killed)
    }
}
