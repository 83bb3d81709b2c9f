//! Which queues this machine has, and who works them off.

use std::io;

use shared::clients::FolderQueue;
use shared::config::Variables;
use shared::webhooks::WEBHOOK_QUEUE;

use crate::folder::DataFolder;
use crate::metrics::Queues;
use crate::queue::{EventSource, Rules, Worker};
use crate::server::{StartError, own_objects, own_queue};
use crate::settings::Settings;

/// The folder of documents to be worked on.
pub(crate) const INGEST_FOLDER: &str = "ingest";
/// The folder of what webhooks are to be told.
pub(crate) const WEBHOOK_FOLDER: &str = "webhooks";
/// Documents worked on side by side.
const INGEST_WORKERS: usize = 2;
/// Batches of notices delivered side by side.
const WEBHOOK_WORKERS: usize = 4;

/// What measurements call the queue of the new objects.
const ARRIVALS: &str = "arrivals";

/// Who works which queue off.
pub(crate) struct Workers {
    pub(crate) ingest: Worker,
    pub(crate) webhooks: Worker,
}

impl Workers {
    /// The queues that are this machine's own. What lies elsewhere is delivered elsewhere.
    pub(crate) fn sources(self, settings: &Settings, variables: &Variables) -> Result<Vec<EventSource>, StartError> {
        let visibility = settings.variables.milliseconds("QUEUE_VISIBILITY_MS", 30_000)?;
        let attempts = u32::try_from(ingest::Config::from_variables(variables)?.max_attempts).unwrap_or(u32::MAX);
        // As in the template.
        let arrivals = Rules { queue: ARRIVALS, workers: 1, batch: 10, visibility, max_receives: 10 };
        let work = Rules {
            queue: INGEST_FOLDER,
            workers: INGEST_WORKERS,
            batch: 1,
            visibility,
            max_receives: attempts.saturating_add(1),
        };
        let notices =
            Rules { queue: WEBHOOK_FOLDER, workers: WEBHOOK_WORKERS, batch: 10, visibility, max_receives: 50 };
        let mut sources = Vec::new();
        if variables.optional_text("BLOBS_URL") == Some(&own_objects(settings)) {
            let queue = FolderQueue::open(&settings.data.arrivals())?;
            sources.push(EventSource::new(queue, self.ingest.clone(), arrivals));
        }
        if variables.optional_text("INGEST_QUEUE_URL") == Some(&own_queue(settings, INGEST_FOLDER)) {
            let queue = FolderQueue::open(&settings.data.queue(INGEST_FOLDER))?;
            sources.push(EventSource::new(queue, self.ingest, work));
        }
        if variables.optional_text(WEBHOOK_QUEUE) == Some(&own_queue(settings, WEBHOOK_FOLDER)) {
            let queue = FolderQueue::open(&settings.data.queue(WEBHOOK_FOLDER))?;
            sources.push(EventSource::new(queue, self.webhooks, notices));
        }
        Ok(sources)
    }
}

/// The queues of a folder, by what measurements call them.
pub(crate) fn queues(data: &DataFolder) -> io::Result<Queues> {
    let arrivals = (ARRIVALS, FolderQueue::open(&data.arrivals())?);
    let of = |name| io::Result::Ok((name, FolderQueue::open(&data.queue(name))?));
    Ok(vec![arrivals, of(INGEST_FOLDER)?, of(WEBHOOK_FOLDER)?])
}
