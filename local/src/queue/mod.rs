//! The event source of a laptop: the messages of one queue, each delivered until a worker has done with it or it is given up.

mod turns;
mod worker;

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use shared::clients::{FolderQueue, Place};
use shared::metrics;
use tokio::sync::oneshot;
use tokio::task::{Id, JoinHandle, JoinSet};

use self::turns::Turns;
pub(crate) use self::worker::Worker;
use self::worker::{WorkError, message};

/// How often the folder is looked at.
const POLL: Duration = Duration::from_millis(25);
/// The wait before a worker that was not there is looked for again.
const ABSENCE: Duration = Duration::from_secs(1);

/// What the template says of a queue and of its event source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// What measurements call the queue.
    pub(crate) queue: &'static str,
    /// Events worked on side by side.
    pub(crate) workers: usize,
    /// The most messages of an event.
    pub(crate) batch: usize,
    /// How long a message is hidden when it is received; a worker may then say otherwise.
    pub(crate) visibility: Duration,
    /// A message that was received so often and comes once more is a dead letter.
    pub(crate) max_receives: u32,
}

/// A queue with who works it off.
pub(crate) struct EventSource {
    queue: FolderQueue,
    worker: Worker,
    rules: Rules,
    turns: Turns,
    running: JoinSet<Result<SqsBatchResponse, WorkError>>,
    /// What the running workers have.
    held: HashMap<Id, Vec<Place>>,
    /// When a worker that was not there is looked for again.
    rest_until: Instant,
    /// Whether the folder could not be used when it was looked at last.
    is_failing: bool,
}

/// An [`EventSource`] that runs.
pub(crate) struct Delivering {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl EventSource {
    pub(crate) fn new(queue: FolderQueue, worker: Worker, rules: Rules) -> Self {
        let (turns, running, held) = (Turns::default(), JoinSet::new(), HashMap::new());
        Self { queue, worker, rules, turns, running, held, rest_until: Instant::now(), is_failing: false }
    }

    /// Delivers messages until it is stopped.
    pub(crate) fn start(self) -> Delivering {
        let (stop, stopped) = oneshot::channel();
        Delivering { stop, task: tokio::spawn(self.run(stopped)) }
    }

    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        loop {
            let delivered = self.deliver();
            metrics::WORKERS_BUSY.set_of(self.rules.queue, self.running.len() as f64);
            self.note(delivered);
            tokio::select! {
                _ = &mut stopped => break,
                () = tokio::time::sleep(POLL) => {}
                Some(done) = self.running.join_next_with_id() => match done {
                    Ok((id, outcome)) => self.settle(id, outcome),
                    Err(error) => {
                        tracing::error!(%error, queue = self.queue.name(), "a worker died; its messages will be delivered again");
                        self.release(error.id());
                    }
                },
            }
        }
        self.running.shutdown().await;
        // An end of ours is no failure of theirs.
        for place in std::mem::take(&mut self.held).into_values().flatten() {
            self.put_back(&place);
        }
    }

    /// A line when the folder fails, and one when it is well again: it is looked at many times a second.
    fn note(&mut self, delivered: io::Result<()>) {
        let queue = self.queue.name();
        match delivered {
            Err(error) if !self.is_failing => tracing::error!(%error, queue, "the folder of a queue cannot be used"),
            Ok(()) if self.is_failing => tracing::info!(queue, "the folder of a queue can be used again"),
            _ => return,
        }
        self.is_failing = !self.is_failing;
    }

    /// Gives free workers what is due.
    fn deliver(&mut self) -> io::Result<()> {
        if self.running.len() >= self.rules.workers || Instant::now() < self.rest_until {
            return Ok(());
        }
        let mut waiting = self.queue.list()?;
        waiting.retain(Place::is_visible);
        let (mut waiting, dead): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|place| place.receives < self.rules.max_receives);
        for place in dead {
            tracing::error!(message = %place.id, queue = self.queue.name(), "given up: a dead letter");
            self.queue.bury(&place)?;
        }
        while self.running.len() < self.rules.workers {
            let batch = self.receive(&mut waiting)?;
            if batch.is_empty() {
                break;
            }
            self.hand_over(batch);
        }
        Ok(())
    }

    /// Takes the next messages out of those that wait.
    fn receive(&mut self, waiting: &mut Vec<Place>) -> io::Result<Vec<(Place, SqsMessage)>> {
        let mut batch = Vec::new();
        while batch.len() < self.rules.batch {
            let Some(next) = self.turns.next(waiting) else { break };
            match self.take(&waiting.remove(next)) {
                Ok(Some((place, message))) => {
                    self.turns.begin(place.group.as_ref());
                    batch.push((place, message));
                }
                // Another process was faster.
                Ok(None) => {}
                Err(error) if batch.is_empty() => return Err(error),
                // What was received until then is to be worked off.
                Err(_) => break,
            }
        }
        Ok(batch)
    }

    /// Receives a message. One that cannot be read stays hidden, as if its worker had died.
    fn take(&self, place: &Place) -> io::Result<Option<(Place, SqsMessage)>> {
        let Some(place) = self.queue.receive(place, self.rules.visibility)? else { return Ok(None) };
        let message = message(&self.queue, &place)?;
        Ok(Some((place, message)))
    }

    fn hand_over(&mut self, batch: Vec<(Place, SqsMessage)>) {
        let (batch, messages) = batch.into_iter().unzip();
        let (worker, mut event) = (self.worker.clone(), SqsEvent::default());
        event.records = messages;
        let task = self.running.spawn(async move { worker.work(event).await });
        self.held.insert(task.id(), batch);
    }

    /// Removes what was worked off.
    fn settle(&mut self, id: Id, outcome: Result<SqsBatchResponse, WorkError>) {
        let batch = self.release(id);
        let failed = match outcome {
            Ok(response) => response.batch_item_failures,
            Err(WorkError::Absent(error)) => {
                tracing::warn!(error, "the worker could not be reached");
                self.rest_until = Instant::now() + ABSENCE;
                return batch.iter().for_each(|place| self.put_back(place));
            }
            Err(WorkError::Failed(error)) => {
                return tracing::warn!(error, "the worker failed; its messages will be delivered again");
            }
        };
        let failed: Vec<_> = failed.into_iter().map(|failure| failure.item_identifier).collect();
        // As Lambda does: who names what was not in the batch means all of it.
        if failed.iter().any(|failed| batch.iter().all(|place| place.id != *failed)) {
            return tracing::warn!(queue = self.queue.name(), "the worker names failures that it was not given");
        }
        for place in batch.iter().filter(|place| !failed.contains(&place.id)) {
            if let Err(error) = self.queue.remove(&place.receipt_handle()) {
                tracing::warn!(message = %place.id, %error, "a message that was worked off could not be removed");
            }
        }
    }

    /// The messages of a worker that has ended.
    fn release(&mut self, id: Id) -> Vec<Place> {
        let batch = self.held.remove(&id).unwrap_or_default();
        for place in &batch {
            self.turns.end(place.group.as_ref());
        }
        batch
    }

    fn put_back(&self, place: &Place) {
        if let Err(error) = self.queue.put_back(&place.receipt_handle()) {
            tracing::warn!(message = %place.id, %error, "a message could not be put back and stays hidden for a while");
        }
    }
}

impl Delivering {
    /// Ends the work where it is. The messages stay.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the end of a queue failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_lambda_events::sqs::BatchItemFailure;
    use tempfile::TempDir;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);
    /// Long after the end of any test.
    const LONG: Duration = Duration::from_hours(1);

    const RULES: Rules = Rules { queue: "ingest", workers: 2, batch: 1, visibility: LONG, max_receives: 3 };

    /// What a worker was given: body and number of the delivery.
    type Deliveries = Arc<Mutex<Vec<(String, String)>>>;

    fn open(folder: &TempDir) -> FolderQueue {
        FolderQueue::open(folder.path()).unwrap()
    }

    fn send(folder: &TempDir, body: &str) {
        open(folder).send(Some(&"acme".parse().unwrap()), body, Duration::ZERO).unwrap();
        // Ids sort by the millisecond.
        std::thread::sleep(Duration::from_millis(2));
    }

    /// Works `well` off, hangs on `hang`, panics at `panic`, and fails at all else.
    fn worker(deliveries: &Deliveries) -> Worker {
        let deliveries = Arc::clone(deliveries);
        Worker::in_process(move |event| {
            let deliveries = Arc::clone(&deliveries);
            async move {
                let mut response = SqsBatchResponse::default();
                for message in event.records {
                    let body = message.body.unwrap();
                    let receives = message.attributes["ApproximateReceiveCount"].clone();
                    deliveries.lock().unwrap().push((body.clone(), receives));
                    match body.as_str() {
                        "well" => {}
                        "hang" => std::future::pending().await,
                        "panic" => panic!("as asked"),
                        _ => {
                            let mut failure = BatchItemFailure::default();
                            failure.item_identifier = message.message_id.unwrap();
                            response.batch_item_failures.push(failure);
                        }
                    }
                }
                response
            }
        })
    }

    async fn until(what: impl Fn() -> bool) {
        let started = Instant::now();
        while !what() {
            assert!(started.elapsed() < LIMIT, "it does not come to that");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn bodies(deliveries: &Deliveries) -> Vec<String> {
        deliveries.lock().unwrap().iter().map(|(body, _)| body.clone()).collect()
    }

    fn receives(deliveries: &Deliveries) -> Vec<String> {
        deliveries.lock().unwrap().iter().map(|(_, receives)| receives.clone()).collect()
    }

    #[tokio::test]
    async fn of_a_batch_the_messages_that_failed_stay_and_the_others_go() {
        let (folder, deliveries) = (tempfile::tempdir().unwrap(), Deliveries::default());
        for body in ["well", "bad", "well"] {
            send(&folder, body);
        }
        let rules = Rules { batch: 10, workers: 1, ..RULES };
        let running = EventSource::new(open(&folder), worker(&deliveries), rules).start();
        until(|| open(&folder).list().unwrap().len() == 1).await;
        running.stop().await;
        let left = open(&folder).list().unwrap().remove(0);
        assert_eq!(open(&folder).body(&left).unwrap(), "bad");
        assert!(!left.is_visible(), "it comes back after its visibility timeout, not before");
        assert_eq!(bodies(&deliveries), ["well", "bad", "well"]);
    }

    #[tokio::test]
    async fn a_message_that_always_fails_ends_as_dead_letter_and_holds_nobody_up() {
        let (folder, deliveries) = (tempfile::tempdir().unwrap(), Deliveries::default());
        send(&folder, "bad");
        for _ in 0..5 {
            send(&folder, "well");
        }
        let rules = Rules { workers: 1, visibility: Duration::ZERO, ..RULES };
        let running = EventSource::new(open(&folder), worker(&deliveries), rules).start();
        until(|| open(&folder).list().unwrap().is_empty()).await;
        running.stop().await;
        let dead = open(&folder).dead().unwrap();
        assert_eq!((dead.len(), dead[0].receives), (1, 3));
        let bodies = bodies(&deliveries);
        assert_eq!(bodies.iter().filter(|body| *body == "bad").count(), 3);
        assert_eq!(bodies.iter().filter(|body| *body == "well").count(), 5);
    }

    #[tokio::test]
    async fn what_a_dead_worker_had_is_delivered_again_after_the_visibility_timeout() {
        let (folder, deliveries) = (tempfile::tempdir().unwrap(), Deliveries::default());
        send(&folder, "panic");
        let running = EventSource::new(open(&folder), worker(&deliveries), RULES).start();
        until(|| bodies(&deliveries).len() == 1).await;
        send(&folder, "well");
        until(|| bodies(&deliveries).len() == 2).await;
        let hidden = open(&folder).list().unwrap().remove(0);
        assert!(!hidden.is_visible());
        open(&folder).hide(&hidden.receipt_handle(), Duration::ZERO).unwrap();
        until(|| bodies(&deliveries).len() == 3).await;
        running.stop().await;
        assert_eq!(receives(&deliveries), ["1", "1", "2"]);
    }

    #[tokio::test]
    async fn receives_count_on_after_a_process_died_and_an_end_counts_none() {
        let (folder, deliveries) = (tempfile::tempdir().unwrap(), Deliveries::default());
        send(&folder, "hang");
        let short = Rules { workers: 1, visibility: Duration::ZERO, ..RULES };
        // Dropped in the middle, as by the end of a process.
        let (_stop, stopped) = oneshot::channel();
        let process = tokio::spawn(EventSource::new(open(&folder), worker(&deliveries), short).run(stopped));
        until(|| !bodies(&deliveries).is_empty()).await;
        process.abort();
        assert!(process.await.unwrap_err().is_cancelled());
        let counted = deliveries.lock().unwrap().len();

        let again = EventSource::new(open(&folder), worker(&deliveries), Rules { max_receives: 10, ..RULES }).start();
        until(|| deliveries.lock().unwrap().len() > counted).await;
        again.stop().await;
        let place = open(&folder).list().unwrap().remove(0);
        assert_eq!(receives(&deliveries).last().unwrap(), &(counted + 1).to_string());
        assert_eq!((place.receives as usize, place.is_visible()), (counted, true));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn several_over_one_folder_never_deliver_a_message_to_two() {
        let (folder, deliveries) = (tempfile::tempdir().unwrap(), Deliveries::default());
        let sources: Vec<_> =
            (0..4).map(|_| EventSource::new(open(&folder), worker(&deliveries), RULES).start()).collect();
        for _ in 0..100 {
            open(&folder).send(None, "well", Duration::ZERO).unwrap();
        }
        until(|| open(&folder).list().unwrap().is_empty()).await;
        for source in sources {
            source.stop().await;
        }
        assert_eq!(bodies(&deliveries).len(), 100);
    }
}
