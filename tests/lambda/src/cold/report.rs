use std::fmt;
use std::time::Duration;

use super::life::Life;
use super::{HELLO, RIVAL};

/// INIT of these is promised.
const PROMISED: [&str; 2] = ["documents", "search"];
/// How many times that of the least function it may be at most.
const OF_HELLO: f64 = 2.0;
/// And that of the rival at least.
const OF_RIVAL: f64 = 20.0;
/// What a warm event that is answered from the cache may take of a processor, beyond the least function.
const CPU_ABOVE_HELLO: Duration = Duration::from_micros(300);

/// What was measured of all functions.
#[derive(Default)]
pub struct Report(Vec<Row>);

struct Row {
    name: &'static str,
    request: &'static str,
    lives: Vec<Life>,
}

/// A promise, and what became of it.
struct Verdict {
    promise: String,
    kept: bool,
}

impl Report {
    pub(super) fn note(&mut self, name: &'static str, request: &'static str, life: Life) {
        match self.0.iter_mut().find(|row| row.name == name) {
            Some(row) => row.lives.push(life),
            None => self.0.push(Row { name, request, lives: vec![life] }),
        }
    }

    /// Whether all that was promised holds.
    pub fn is_kept(&self) -> bool {
        self.verdicts().iter().all(|verdict| verdict.kept)
    }

    fn row(&self, name: &str) -> Option<&Row> {
        self.0.iter().find(|row| row.name == name)
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let Some(hello) = self.row(HELLO) else { return Vec::new() };
        let mut verdicts = Vec::new();
        for row in PROMISED.iter().filter_map(|name| self.row(name)) {
            let name = row.name;
            let times = ratio(row.init(), hello.init());
            verdicts.push(Verdict {
                promise: format!("INIT of {name} is {times:.2} times that of {HELLO} (at most {OF_HELLO})"),
                kept: times <= OF_HELLO,
            });
            if let Some(rival) = self.row(RIVAL) {
                let times = ratio(rival.init(), row.init());
                verdicts.push(Verdict {
                    promise: format!("INIT of {RIVAL} is {times:.1} times that of {name} (at least {OF_RIVAL})"),
                    kept: times >= OF_RIVAL,
                });
            }
            let above = row.cpu().saturating_sub(hello.cpu());
            verdicts.push(Verdict {
                promise: format!(
                    "a warm event of {name} takes {} microseconds of a processor more than of {HELLO} (at most {})",
                    above.as_micros(),
                    CPU_ABOVE_HELLO.as_micros()
                ),
                kept: above <= CPU_ABOVE_HELLO,
            });
        }
        verdicts
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| function | request | INIT ms | of it CPU ms | first ms | warm ms | p95 ms | CPU µs | RSS MB | PSS MB |"
        )?;
        writeln!(f, "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
        for row in &self.0 {
            let (warm, p95) = row.warm();
            let [init, init_cpu, first, warm, p95] =
                [row.init(), row.of(|life| life.init_cpu), row.of(|life| life.first), warm, p95].map(millis);
            let [rss, pss] = [row.of(|life| life.rss), row.of(|life| life.pss)].map(megabytes);
            let (name, request, cpu) = (row.name, row.request, row.cpu().as_micros());
            writeln!(
                f,
                "| `{name}` | {request} | {init:.1} | {init_cpu:.1} | {first:.2} | {warm:.2} | {p95:.2} | {cpu} | {rss:.1} | {pss:.1} |"
            )?;
        }
        let lives = self.0.iter().map(|row| row.lives.len()).max().unwrap_or(0);
        writeln!(f, "\nMedians of {lives} starts of each.\n")?;
        for Verdict { promise, kept } in self.verdicts() {
            writeln!(f, "{} {promise}", if kept { "ok    " } else { "MISSED" })?;
        }
        Ok(())
    }
}

impl Row {
    /// The median of a figure.
    fn of<T: Copy + Ord>(&self, figure: impl Fn(&Life) -> T) -> T {
        let mut all: Vec<_> = self.lives.iter().map(figure).collect();
        all.sort_unstable();
        all[all.len() / 2]
    }

    fn init(&self) -> Duration {
        self.of(|life| life.init)
    }

    fn cpu(&self) -> Duration {
        self.of(|life| life.cpu)
    }

    /// What a warm event takes: the median, and what 95 of 100 do not exceed.
    fn warm(&self) -> (Duration, Duration) {
        let mut all: Vec<_> = self.lives.iter().flat_map(|life| &life.warm).copied().collect();
        all.sort_unstable();
        (all[all.len() / 2], all[(all.len() * 95).div_ceil(100) - 1])
    }
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
