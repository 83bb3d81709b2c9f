use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What 95 of 100 first requests may take.
const P95: Duration = Duration::from_millis(300);

/// The first request to an environment after it was frozen.
#[derive(Debug)]
pub struct Thaw {
    /// For how long it was frozen.
    pub frozen: Duration,
    /// What it was asked.
    pub case: &'static str,
    /// To the end of its answer.
    pub took: Duration,
    /// What was wrong with the answer, if anything was.
    pub outcome: Result<(), String>,
}

/// What all of them met with.
pub struct Report(Vec<Thaw>);

impl Report {
    pub(super) fn new(thaws: Vec<Thaw>) -> Self {
        Self(thaws)
    }

    /// Whether no request failed, and few took long.
    pub fn is_kept(&self) -> bool {
        self.0.iter().all(|thaw| thaw.outcome.is_ok()) && quantile(self.0.iter(), 95) < P95
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = BTreeMap::<_, Vec<&Thaw>>::new();
        for thaw in &self.0 {
            rows.entry((thaw.frozen, thaw.case)).or_default().push(thaw);
            rows.entry((thaw.frozen, "all")).or_default().push(thaw);
        }
        writeln!(f, "| frozen s | request | environments | failed | p50 ms | p95 ms | slowest ms |")?;
        writeln!(f, "| ---: | --- | ---: | ---: | ---: | ---: | ---: |")?;
        for ((frozen, case), thaws) in &rows {
            let failed = thaws.iter().filter(|thaw| thaw.outcome.is_err()).count();
            let [p50, p95, slowest] = [50, 95, 100].map(|part| quantile(thaws.iter().copied(), part).as_millis());
            let (frozen, count) = (frozen.as_secs(), thaws.len());
            writeln!(f, "| {frozen} | {case} | {count} | {failed} | {p50} | {p95} | {slowest} |")?;
        }
        writeln!(f)?;
        for Thaw { frozen, case, outcome, .. } in &self.0 {
            if let Err(fault) = outcome {
                writeln!(f, "FAILED {case} after {} s: {fault}", frozen.as_secs())?;
            }
        }
        let (count, p95) = (self.0.len(), quantile(self.0.iter(), 95).as_millis());
        let verdict = if self.is_kept() { "ok    " } else { "MISSED" };
        writeln!(
            f,
            "{verdict} of {count} first requests none fails, and 95 of 100 take {p95} ms at most (less than {})",
            P95.as_millis()
        )
    }
}

/// What so many of a hundred do not exceed.
fn quantile<'a>(thaws: impl Iterator<Item = &'a Thaw>, part: usize) -> Duration {
    let mut all: Vec<_> = thaws.map(|thaw| thaw.took).collect();
    all.sort_unstable();
    all.get((all.len() * part).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
}
