use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use tokio::task::JoinSet;

use crate::watch::Function;

/// How often the folder is looked at.
const POLL: Duration = Duration::from_millis(50);
/// Messages worked on side by side.
const WORKERS: usize = 2;
/// The wait after a first failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest wait.
const LAST_RETRY: Duration = Duration::from_mins(1);

/// Who works a message off.
#[derive(Clone)]
pub(crate) enum Worker {
    /// The handler of the function, in this process.
    InProcess(Box<ingest::State>),
    /// The function itself, in another process.
    Function(Function),
}

impl Worker {
    async fn work(&self, message: SqsMessage) -> Result<SqsBatchResponse, String> {
        let mut event = SqsEvent::default();
        event.records = vec![message];
        match self {
            Self::InProcess(state) => Ok(ingest::handle((**state).clone(), event).await),
            Self::Function(function) => function.invoke(&event).await,
        }
    }
}

/// The queue of a laptop: the storage's announcements, each delivered until a worker has done with it.
pub(crate) struct Queue {
    folder: PathBuf,
    worker: Worker,
    waiting: HashMap<PathBuf, Waiting>,
    running: JoinSet<(PathBuf, bool)>,
}

/// A message that was delivered at least once.
struct Waiting {
    deliveries: u64,
    /// When it may be delivered again; none while a worker has it.
    next: Option<Instant>,
}

impl Queue {
    pub(crate) fn open(folder: PathBuf, worker: Worker) -> io::Result<Self> {
        // The storage makes it too, but may be opened later, by a function in another process.
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, worker, waiting: HashMap::new(), running: JoinSet::new() })
    }

    /// Delivers messages for ever. Dropping the future stops the work where it is; the messages stay.
    pub(crate) async fn run(mut self) {
        loop {
            if let Err(error) = self.deliver() {
                tracing::error!(%error, "the queue's folder cannot be read");
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                Some(done) = self.running.join_next() => match done {
                    Ok((message, well)) => self.settle(&message, well),
                    Err(error) => tracing::error!(%error, "a worker ended early"),
                },
            }
        }
    }

    fn deliver(&mut self) -> io::Result<()> {
        if self.running.len() >= WORKERS {
            return Ok(());
        }
        let mut messages: Vec<PathBuf> = fs::read_dir(&self.folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|ending| ending == "json") && self.is_due(path))
            .collect();
        // The names are ULIDs: the oldest first.
        messages.sort_unstable();
        for path in messages.into_iter().take(WORKERS - self.running.len()) {
            let waiting = self.waiting.entry(path.clone()).or_insert(Waiting { deliveries: 0, next: None });
            waiting.deliveries += 1;
            waiting.next = None;
            let message = message(&path, waiting.deliveries)?;
            let worker = self.worker.clone();
            self.running.spawn(async move {
                let well = match worker.work(message).await {
                    Ok(response) => response.batch_item_failures.is_empty(),
                    Err(error) => {
                        tracing::warn!(error, "the worker could not be reached");
                        false
                    }
                };
                (path, well)
            });
        }
        Ok(())
    }

    fn is_due(&self, path: &Path) -> bool {
        self.waiting.get(path).is_none_or(|waiting| waiting.next.is_some_and(|next| next <= Instant::now()))
    }

    fn settle(&mut self, path: &Path, well: bool) {
        if well {
            self.waiting.remove(path);
            if let Err(error) = fs::remove_file(path) {
                tracing::error!(%error, "a message that was worked off could not be removed");
            }
        } else if let Some(waiting) = self.waiting.get_mut(path) {
            let doublings = u32::try_from(waiting.deliveries - 1).unwrap_or(u32::MAX).min(10);
            waiting.next = Some(Instant::now() + (FIRST_RETRY * 2_u32.pow(doublings)).min(LAST_RETRY));
        }
    }
}

fn message(path: &Path, deliveries: u64) -> io::Result<SqsMessage> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut message = SqsMessage::default();
    message.message_id = Some(name);
    message.body = Some(fs::read_to_string(path)?);
    message.attributes = HashMap::from([("ApproximateReceiveCount".to_owned(), deliveries.to_string())]);
    Ok(message)
}
