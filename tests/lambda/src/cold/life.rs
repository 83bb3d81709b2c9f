use std::time::{Duration, Instant};

use super::Subject;
use crate::answer::Torn;
use crate::environment::Environment;
use crate::invoke_error::InvokeError;

/// Events that come before those that are counted.
const WARMING: u32 = 20;
/// Of a hundred events that the cache may answer, it must so many. An epoch may be replaced meanwhile.
const HITS: u32 = 95;
/// As much of an answer is shown that is not as it should be, in bytes.
const SHOWN: usize = 300;

/// What one process of a function took.
#[derive(Debug)]
pub(super) struct Life {
    /// From its start until it asked for an event.
    pub(super) init: Duration,
    /// The time of processors in it.
    pub(super) init_cpu: Duration,
    /// From its first event to the end of the answer.
    pub(super) first: Duration,
    /// The same of each event once it was warm.
    pub(super) warm: Vec<Duration>,
    /// The time of processors for one of those.
    pub(super) cpu: Duration,
    /// Resident memory at the end, in bytes, and in proportion to who shares it.
    pub(super) rss: u64,
    pub(super) pss: u64,
}

impl Life {
    /// Starts a process and gives it so many events.
    pub(super) async fn of(subject: &Subject, events: u32) -> Result<Self, Fault> {
        let mut environment = Environment::start(&subject.program).await?;
        let (init, init_cpu) = (environment.init(), environment.usage()?.cpu);
        let (first, _) = ask(&mut environment, subject).await?;
        for _ in 0..WARMING {
            ask(&mut environment, subject).await?;
        }
        let before = environment.usage()?.cpu;
        let (mut warm, mut hits) = (Vec::new(), 0);
        for _ in 0..events {
            let (took, hit) = ask(&mut environment, subject).await?;
            warm.push(took);
            hits += u32::from(hit);
        }
        if subject.cached && hits * 100 < events * HITS {
            return Err(Fault::Uncached { hits, events });
        }
        let after = environment.usage()?;
        let cpu = after.cpu.saturating_sub(before) / events;
        Ok(Self { init, init_cpu, first, warm, cpu, rss: after.rss, pss: after.pss })
    }
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    #[error(transparent)]
    Torn(#[from] Torn),
    #[error(transparent)]
    Usage(#[from] std::io::Error),
    #[error("the answer is {0}")]
    Refused(String),
    #[error("the cache answered {hits} of {events} events")]
    Uncached { hits: u32, events: u32 },
}

/// How long the answer took, and whether it came from the cache. The function rests when this returns.
async fn ask(environment: &mut Environment, subject: &Subject) -> Result<(Duration, bool), Fault> {
    let asked = Instant::now();
    let answer = environment.invoke(&subject.event).await?.read().await?;
    let took = asked.elapsed();
    if !answer.status.is_success() {
        let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(SHOWN)]);
        return Err(Fault::Refused(format!("{}: {body}", answer.status)));
    }
    let cache = answer.headers.get("cache-status").and_then(|value| value.to_str().ok());
    environment.rest().await;
    Ok((took, cache.is_some_and(|cache| cache.contains("hit"))))
}
