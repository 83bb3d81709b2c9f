use std::time::Duration;

use async_stream::stream;
use futures::StreamExt;
use futures::stream::BoxStream;
use shared::clients::CacheError;
use shared::error::Error;
use shared::http::problem_for;

use super::script::Standing;
use super::{Named, Runs, patiently};
use crate::event::{Event, FinishReason};

/// How often the log is asked for more.
const EVERY: Duration = Duration::from_millis(100);

/// What there is to follow.
pub(crate) enum Followed {
    /// All there is was seen, or cannot be seen any more.
    Nothing,
    /// What happened, then what happens, to the end.
    Events(BoxStream<'static, (u64, Event)>),
}

pub(super) async fn follow(runs: &Runs, run: Named, after: u64) -> Result<Followed, Error> {
    let (standing, events) = read(runs, &run, after).await.map_err(|error| Error::unavailable(error.to_string()))?;
    match standing {
        Standing::None => Err(Error::NotFound),
        Standing::Lost => Ok(Followed::Nothing),
        Standing::Ended if events.is_empty() => Ok(Followed::Nothing),
        _ => Ok(Followed::Events(events_after(runs.clone(), run, after, (standing, events)))),
    }
}

/// Reads on in the log.
async fn read(runs: &Runs, run: &Named, after: u64) -> Result<(Standing, Vec<(u64, String)>), CacheError> {
    let Runs(inner) = runs;
    patiently(|| inner.scripts.follow(&inner.redis, run, after)).await
}

fn events_after(
    runs: Runs,
    run: Named,
    mut after: u64,
    mut heard: (Standing, Vec<(u64, String)>),
) -> BoxStream<'static, (u64, Event)> {
    stream! {
        loop {
            let (standing, events) = heard;
            let is_all = events.is_empty();
            for (number, event) in events {
                let Ok(event) = serde_json::from_str(&event) else { return };
                let is_last = matches!(event, Event::Done { .. });
                after = number;
                yield (number, event);
                if is_last {
                    return;
                }
            }
            match standing {
                Standing::Live if is_all => tokio::time::sleep(EVERY).await,
                Standing::Dead if is_all => {
                    tracing::warn!(run = %run.id, "an answer ended with its process");
                    let gone = problem_for(&Error::unavailable("the process of an answer is gone"));
                    yield (after + 1, Event::Error(Box::new(gone)));
                    yield (after + 2, Event::Done { finish_reason: FinishReason::Error, message_id: run.id });
                    return;
                }
                // What is there is not all of it, and nobody can say more.
                Standing::None | Standing::Lost => return,
                Standing::Ended if is_all => return,
                _ => {}
            }
            heard = match read(&runs, &run, after).await {
                Ok(heard) => heard,
                // The client may come again.
                Err(_) => return,
            };
        }
    }
    .boxed()
}
