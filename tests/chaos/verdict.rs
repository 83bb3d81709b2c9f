//! Whether what was seen is what the policy says.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::fault::Fault;
use crate::load::{Sample, Seen};

/// So many acts in a row must come to what they should for a fault to be over.
const IN_A_ROW: usize = 5;
/// An answer that takes longer is none as usual.
const SOON: Duration = Duration::from_secs(2);
/// The most findings of one kind that are told.
const TOLD: usize = 5;

/// What became of a fault.
pub(crate) enum Outcome {
    /// It was not tried, and why.
    Skipped(&'static str),
    Tried(Verdict),
}

/// What was seen of a fault.
pub(crate) struct Verdict {
    /// What users saw while it lasted.
    pub(crate) seen: String,
    /// The longest that an answer took then.
    pub(crate) longest: Duration,
    /// What was sent so long after its end, and later, was answered as before.
    pub(crate) back: Option<Duration>,
    /// Warnings and errors in the log.
    pub(crate) lines: usize,
    /// What does not hold.
    pub(crate) broken: Vec<String>,
}

/// When a fault began, and when it ended.
pub(crate) struct Span {
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
}

impl Verdict {
    /// Of these acts. What is sent so long after the end must be answered as before.
    pub(crate) fn of(fault: &Fault, span: &Span, samples: &[Sample], lines: usize, limit: Duration) -> Self {
        let policy = fault.policy;
        let mut broken = Vec::new();
        for sample in samples {
            let (may_be, when) = match sample {
                sample if sample.sent + sample.took < span.begun => (sample.seen.is_done(), "before it"),
                sample if sample.sent >= span.ended + limit => (sample.seen.is_done(), "long after it"),
                sample => ((policy.allows)(sample.act, &sample.seen), "meanwhile"),
            };
            if !may_be {
                broken.push(format!("{when}: {:?} {:?}", sample.act, sample.seen));
            }
        }
        shorten(&mut broken);

        // What happens in a moment shows itself later.
        let until = span.ended.max(span.begun + limit);
        let meanwhile: Vec<_> =
            samples.iter().filter(|sample| sample.sent + sample.took >= span.begun && sample.sent < until).collect();
        let is_seen = |shows: fn(&Seen) -> bool| meanwhile.iter().any(|sample| shows(&sample.seen));
        if policy.shows.is_some_and(|shows| !is_seen(shows)) {
            broken.push("nobody saw anything of it".to_owned());
        }
        let longest = meanwhile.iter().map(|sample| sample.took).max().unwrap_or_default();
        if longest > policy.longest {
            broken.push(format!("an answer took {longest:.1?}"));
        }
        let after: Vec<_> =
            samples.iter().filter(|sample| sample.sent >= span.ended && (policy.shown_by)(sample.act)).collect();
        let back = back(&after).map(|sent| sent - span.ended);
        if back.is_none_or(|back| back >= limit) {
            broken.push("it was not over in time".to_owned());
        }
        if let Some(most) = policy.lines
            && lines > most
        {
            broken.push(format!("{lines} lines in the log"));
        }
        Self { seen: summary(&meanwhile), longest, back, lines, broken }
    }
}

/// When the first of some acts in a row was sent that all were answered as before.
fn back(after: &[&Sample]) -> Option<Instant> {
    let is_well = |sample: &&Sample| sample.seen == Seen::Served && sample.took < SOON;
    after.windows(IN_A_ROW).find(|row| row.iter().all(is_well)).map(|row| row[0].sent)
}

fn summary(samples: &[&Sample]) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for sample in samples {
        let what = match &sample.seen {
            Seen::Served => "well".to_owned(),
            Seen::Bypassed => "without the cache".to_owned(),
            Seen::Refused => "503".to_owned(),
            Seen::Failed(code) => format!("`{code}`"),
            Seen::Unanswered => "no answer".to_owned(),
            Seen::Wrong(_) => "wrong".to_owned(),
        };
        *counts.entry(what).or_default() += 1;
    }
    let mut text = String::new();
    for (what, count) in counts.into_iter().rev() {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{count} {what}");
    }
    text
}

/// Leaves a few of many findings, and how many there were.
fn shorten(broken: &mut Vec<String>) {
    let more = broken.len().saturating_sub(TOLD);
    broken.truncate(TOLD);
    if more > 0 {
        broken.push(format!("and {more} more"));
    }
}
