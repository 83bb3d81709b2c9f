//! The failure policy, and the faults that it is tried with.

use std::time::Duration;

use crate::fault::Harm::{
    Clock, Descriptors, Forgets, FullDisk, Gone, HalfOpen, Killed, Resets, Silent, Slow, Throttles,
};
use crate::fault::Part::{Cache, Database, Embedder, Model};
use crate::fault::{Fault, Policy};
use crate::load::{Act, Seen};

/// Longer than what is waited for a command to the cache here, and much less than what the others are waited for.
const SLOW: Duration = Duration::from_millis(300);

/// All faults.
pub(crate) const FAULTS: [Fault; 25] = [
    Fault::new("redis slow", Slow(Cache, SLOW), 4, &WITHOUT_THE_CACHE),
    Fault::new("redis resets", Resets(Cache), 4, &CACHE_OR_NOT),
    Fault::new("redis silent", Silent(Cache), 4, &WITHOUT_THE_CACHE).usual(),
    Fault::new("redis half-open", HalfOpen(Cache), 0, &CACHE_OR_NOT),
    Fault::new("redis gone", Gone(Cache), 4, &WITHOUT_THE_CACHE),
    Fault::new("redis forgets", Forgets, 0, &CACHE_OR_NOT),
    Fault::new("dynamodb slow", Slow(Database, SLOW), 4, &SLOWLY),
    Fault::new("dynamodb resets", Resets(Database), 4, &LATER_OR_NOT),
    Fault::new("dynamodb silent", Silent(Database), 10, &LATER),
    Fault::new("dynamodb half-open", HalfOpen(Database), 0, &LATER_OR_NOT),
    Fault::new("dynamodb gone", Gone(Database), 4, &LATER).usual(),
    Fault::new("dynamodb throttles", Throttles, 4, &LATER),
    Fault::new("model slow", Slow(Model, SLOW), 4, &SLOWLY),
    Fault::new("model resets", Resets(Model), 4, &WITHOUT_THE_MODEL).usual(),
    Fault::new("model silent", Silent(Model), 5, &WITHOUT_THE_MODEL),
    Fault::new("model half-open", HalfOpen(Model), 0, &MODEL_OR_NOT),
    Fault::new("model gone", Gone(Model), 4, &WITHOUT_THE_MODEL),
    Fault::new("embedder resets", Resets(Embedder), 4, &WITHOUT_VECTORS),
    Fault::new("embedder silent", Silent(Embedder), 5, &WITHOUT_VECTORS),
    Fault::new("embedder gone", Gone(Embedder), 4, &WITHOUT_VECTORS),
    Fault::new("disk full", FullDisk, 4, &LATER),
    Fault::new("clock an hour fast", Clock("+1h"), 4, &NOTHING),
    Fault::new("clock an hour slow", Clock("-1h"), 4, &NOTHING),
    Fault::new("descriptors used up", Descriptors, 4, &CROWDED),
    Fault::new("server killed", Killed, 2, &AWAY),
];

/// Nothing at all.
const NOTHING: Policy = Policy {
    allows: |_, seen| matches!(seen, Seen::Served),
    shown_by: |_| true,
    shows: None,
    longest: Duration::from_secs(5),
    lines: Some(0),
};

/// Nothing but that it takes longer.
const SLOWLY: Policy = Policy { longest: Duration::from_secs(15), ..NOTHING };

/// The cache may be missing: hits are, and limits are coarser. A write waits until what the cache knew is not trusted any more.
const CACHE_OR_NOT: Policy = Policy {
    allows: |_, seen| matches!(seen, Seen::Served | Seen::Bypassed),
    shown_by: Act::is_cached,
    lines: Some(12),
    ..NOTHING
};

/// The cache is missing.
const WITHOUT_THE_CACHE: Policy = Policy { shows: Some(|seen| matches!(seen, Seen::Bypassed)), ..CACHE_OR_NOT };

/// What needs the database may be told to come later, after so many attempts as fit in the time that is given to them. An answer
/// that had begun ends with the same as an event.
const LATER_OR_NOT: Policy = Policy {
    allows: |_, seen| match seen {
        Seen::Served | Seen::Refused => true,
        Seen::Failed(code) => code == "unavailable",
        _ => false,
    },
    shown_by: |_| true,
    shows: None,
    // Two operations, one after another.
    longest: Duration::from_secs(20),
    lines: None,
};

/// The same, and some of it is.
const LATER: Policy = Policy { shows: Some(|seen| matches!(seen, Seen::Refused)), ..LATER_OR_NOT };

/// An answer may end with an event that says what the model did instead of answering. Nothing else is touched.
const MODEL_OR_NOT: Policy = Policy {
    allows: |act, seen| match seen {
        Seen::Served => true,
        Seen::Failed(code) => act == Act::Chat && OF_THE_MODEL.contains(&code.as_str()),
        _ => false,
    },
    shown_by: |act| act == Act::Chat,
    shows: None,
    longest: Duration::from_secs(10),
    lines: None,
};

/// What an answer says of a model that is away, or breaks off.
const OF_THE_MODEL: [&str; 3] = ["model_broken", "model_timed_out", "model_unavailable"];

/// The same, and some answers do.
const WITHOUT_THE_MODEL: Policy = Policy { shows: Some(|seen| matches!(seen, Seen::Failed(_))), ..MODEL_OR_NOT };

/// A search that needs a new vector is told to come later. Answers go on without what could not be looked up, and documents wait.
const WITHOUT_VECTORS: Policy = Policy {
    allows: |act, seen| match seen {
        Seen::Served => true,
        Seen::Refused => act == Act::Search,
        _ => false,
    },
    shown_by: |act| act == Act::Search,
    shows: Some(|seen| matches!(seen, Seen::Refused)),
    longest: Duration::from_secs(10),
    lines: None,
};

/// Who has no connection yet waits for one; what needs a file or another connection may be told to come later.
const CROWDED: Policy = Policy { longest: Duration::from_secs(15), ..LATER_OR_NOT };

/// There is no answer.
const AWAY: Policy = Policy {
    allows: |_, seen| matches!(seen, Seen::Served | Seen::Unanswered),
    shows: Some(|seen| matches!(seen, Seen::Unanswered)),
    ..LATER_OR_NOT
};
