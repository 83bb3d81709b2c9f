use std::time::{Duration, Instant};

use super::Subject;
use crate::answer::Torn;
use crate::environment::Environment;
use crate::invoke_error::InvokeError;

/// Events that come before those that are counted.
const WARMING: u32 = 20;

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
        let first = ask(&mut environment, subject, false).await?;
        for _ in 0..WARMING {
            ask(&mut environment, subject, false).await?;
        }
        let before = environment.usage()?.cpu;
        let mut warm = Vec::new();
        for _ in 0..events {
            warm.push(ask(&mut environment, subject, subject.cached).await?);
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
}

/// How long the answer took. The function rests when this returns.
async fn ask(environment: &mut Environment, subject: &Subject, hit: bool) -> Result<Duration, Fault> {
    let asked = Instant::now();
    let answer = environment.invoke(&subject.event).await?.read().await?;
    let took = asked.elapsed();
    let cache = answer.headers.get("cache-status").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !answer.status.is_success() || (hit && !cache.contains("hit")) {
        let body = String::from_utf8_lossy(&answer.body);
        return Err(Fault::Refused(format!("{} with cache-status {cache:?}: {body}", answer.status)));
    }
    environment.rest().await;
    Ok(took)
}
