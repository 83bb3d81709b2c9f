//! What the pipeline costs beside the embedder: `make bench`.
//!
//! A document goes from its message to `ready`, with everything in between: the original is read in a process of its own, cut
//! and written with its vectors. Then the embedder alone gets the very texts it got there, in the same batches and as many at a
//! time. The two take turns, and the medians are compared as a ratio.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot be taken ends")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use futures::stream::{self, StreamExt};
use local::MiniLm;
use serde_json::json;
use shared::embed::{EmbedError, Embedder, HashingEmbedder, Model, Models};
use tests::{TestApp, data};

const ROUNDS: usize = 5;
/// Passages of a document.
const PASSAGES: usize = 64;

#[tokio::main]
async fn main() {
    measure("hashing", Arc::new(HashingEmbedder::new(384))).await;
    if let Some(weights) = data::weights() {
        measure("minilm", Arc::new(MiniLm::load(&weights).unwrap())).await;
    }
}

/// Keeps what it is asked for.
struct Recording {
    embedder: Arc<dyn Embedder>,
    batches: Mutex<Vec<Vec<String>>>,
}

#[async_trait]
impl Embedder for Recording {
    fn model(&self) -> &str {
        self.embedder.model()
    }

    fn dimensions(&self) -> usize {
        self.embedder.dimensions()
    }

    fn window(&self) -> usize {
        self.embedder.window()
    }

    fn tokens(&self, text: &str) -> usize {
        self.embedder.tokens(text)
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.batches.lock().unwrap().push(texts.to_vec());
        self.embedder.embed(texts).await
    }
}

async fn measure(name: &str, embedder: Arc<dyn Embedder>) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/work", folder.path().display());
    let app = TestApp::start_with(&[("INGEST_QUEUE_URL", &url)]).await;
    let recording = Arc::new(Recording { embedder: Arc::clone(&embedder), batches: Mutex::default() });
    let worker = app.worker().await;
    let current = Model { embedder: recording.clone(), ..worker.models.current.clone() };
    let worker = ingest::State { models: Models { current, previous: None }, ..worker };
    let (mut whole, mut alone, mut passages) = (Vec::new(), Vec::new(), 0);
    for round in 0..=ROUNDS {
        let id = app.ada().upload("report.md", content(round)).await;
        let started = Instant::now();
        let response = ingest::handle(worker.clone(), event(&id)).await;
        let took = started.elapsed();
        assert!(response.batch_item_failures.is_empty());

        let batches = std::mem::take(&mut *recording.batches.lock().unwrap());
        passages = batches.iter().map(Vec::len).sum();
        let started = Instant::now();
        let calls = stream::iter(&batches).map(|texts| embedder.embed(texts));
        calls
            .buffer_unordered(worker.config.embed_concurrency)
            .for_each(|vectors| async { drop(vectors.unwrap()) })
            .await;
        // The first round warms up.
        if round > 0 {
            whole.push(took);
            alone.push(started.elapsed());
        }
    }
    let (whole, alone) = (median(whole), median(alone));
    let per_second = |time: Duration| passages as f64 / time.as_secs_f64();
    println!(
        "{name:<8} {passages} passages: pipeline {:>7.1} a second, embedder alone {:>9.1} a second, ratio {:.2}",
        per_second(whole),
        per_second(alone),
        whole.as_secs_f64() / alone.as_secs_f64(),
    );
    app.stop().await;
}

/// Sections of about 170 tokens.
fn content(round: usize) -> String {
    let sentence =
        |n: usize| format!("In report {round} the ducks of lake {n} swim to the reeds and look for plants. ");
    let part = |n: usize| format!("## Lake {n}\n\n{}\n\n", sentence(n).repeat(9));
    format!("# Report {round}\n\n{}", (0..PASSAGES).map(part).collect::<String>())
}

fn event(id: &str) -> SqsEvent {
    let key = format!("t/acme/{id}/1/original");
    let mut message = SqsMessage::default();
    message.message_id = Some("1".to_owned());
    message.receipt_handle = Some("1.1".to_owned());
    let bucket = json!({ "name": "b", "ownerIdentity": { "principalId": "x" }, "arn": "arn:aws:s3:::b" });
    let object = json!({ "key": key, "size": 5, "sequencer": "0" });
    let record = json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
        "eventTime": "2026-11-23T12:00:00.000Z", "eventName": "ObjectCreated:Put",
        "userIdentity": { "principalId": "x" }, "requestParameters": { "sourceIPAddress": "127.0.0.1" },
        "responseElements": {},
        "s3": { "s3SchemaVersion": "1.0", "configurationId": "ingest", "bucket": bucket, "object": object },
    });
    message.body = Some(json!({ "Records": [record] }).to_string());
    message.event_source_arn = Some("arn:aws:sqs:us-east-1:123456789012:work".to_owned());
    let mut event = SqsEvent::default();
    event.records = vec![message];
    event
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
