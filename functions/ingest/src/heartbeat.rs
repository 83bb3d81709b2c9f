//! A message stays hidden while somebody works on it, and not much longer: if the worker dies, it comes back soon, and if
//! the work takes long, nobody else begins with it.

use std::convert::Infallible;
use std::time::Duration;

use shared::clients::Queue;

/// A message is hidden for so many intervals at each beat, so that two may fail.
const INTERVALS: u32 = 3;

/// Does the work, and hides the message again and again until it is done. The first time is at once: until then it is hidden
/// as long as the queue says, which is long, since a message may wait for a worker.
pub(crate) async fn during<T>(
    work: impl Future<Output = T>,
    queue: &Queue,
    receipt_handle: &str,
    interval: Duration,
) -> T {
    tokio::select! {
        done = work => done,
        never = beat(queue, receipt_handle, interval) => match never {},
    }
}

async fn beat(queue: &Queue, receipt_handle: &str, interval: Duration) -> Infallible {
    loop {
        if let Err(error) = queue.hide(receipt_handle, interval * INTERVALS).await {
            tracing::warn!(%error, "a message in work could not be hidden and may be worked on twice");
        }
        tokio::time::sleep(interval).await;
    }
}
