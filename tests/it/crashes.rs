//! Workers that die, and messages that come more than once.

use std::future::ready;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use shared::chunks::Count;
use shared::clients::FolderQueue;
use shared::config::Variables;
use shared::tenancy::Role;
use shared::terms::exact_terms;
use tempfile::TempDir;
use tests::{TestApp, User};

use crate::queues::notification;

/// Where the worker's queue is, on which nobody else works.
const QUEUE: &str = "work";
/// Workers that are killed.
const KILLS: usize = 200;
/// What is to be left of a document that was deleted.
const NOTHING: Count = Count { passages: 0, postings: 0 };
/// Workers at a time.
const SIDE_BY_SIDE: usize = 4;

/// An installation whose documents are worked on by nobody but the test.
pub(crate) async fn app() -> (TestApp, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/{QUEUE}", folder.path().display());
    (TestApp::start_with(&[("INGEST_QUEUE_URL", &url)]).await, folder)
}

/// Its queue.
pub(crate) fn queue(folder: &TempDir) -> FolderQueue {
    FolderQueue::open(&folder.path().join(QUEUE)).unwrap()
}

/// A worker that takes many small steps.
async fn worker(app: &TestApp) -> ingest::State {
    let steps = [("INGEST_EMBED_BATCH", "2"), ("INGEST_EMBED_CONCURRENCY", "1")];
    app.worker_with(&Variables::from_pairs(steps)).await
}

/// The message that announces a version.
pub(crate) fn message(tenant: &str, id: &str, version: u32) -> SqsEvent {
    delivery(notification(&format!("t/{tenant}/{id}/{version}/original")), 1)
}

/// A message, received so many times.
pub(crate) fn delivery(body: String, receives: u32) -> SqsEvent {
    let mut message = SqsMessage::default();
    message.message_id = Some("1".to_owned());
    message.receipt_handle = Some("1.1".to_owned());
    message.body = Some(body);
    message.attributes.insert("ApproximateReceiveCount".to_owned(), receives.to_string());
    message.event_source_arn = Some(format!("arn:aws:sqs:us-east-1:123456789012:{QUEUE}"));
    let mut event = SqsEvent::default();
    event.records = vec![message];
    event
}

/// Ten passages, two to a batch, and words of its own, each of which finds its passage.
fn content(number: usize) -> String {
    let sentence =
        |n: usize| format!("In report {number}, part {n}, of code QX-{number}-{n}, ducks and lakes are as they were. ");
    let part = |n: usize| format!("## Part {n}\n\n{}\n\n", sentence(n).repeat(6));
    format!("# Report {number}\n\n{}", (0..10).map(part).collect::<String>())
}

/// Work that ends after so many steps, wherever it is then: each step goes on until something has to be waited for, which is
/// a request to a service or its answer.
struct Mortal<F> {
    work: Pin<Box<F>>,
    steps: usize,
    taken: usize,
}

impl<F: Future> Future for Mortal<F> {
    type Output = (Option<F::Output>, usize);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.taken == self.steps {
            return Poll::Ready((None, self.taken));
        }
        self.taken += 1;
        let taken = self.taken;
        self.work.as_mut().poll(context).map(|output| (Some(output), taken))
    }
}

fn mortal<F: Future>(work: F, steps: usize) -> Mortal<F> {
    Mortal { work: Box::pin(work), steps, taken: 0 }
}

pub(crate) fn well(response: &SqsBatchResponse) -> bool {
    response.batch_item_failures.is_empty()
}

/// What is shown of a document's passages, but for their names.
async fn passages(user: &User<'_>, id: &str) -> Vec<Value> {
    let mut chunks = user.chunks(id).await;
    for chunk in &mut chunks {
        chunk["id"] = Value::Null;
    }
    chunks
}

/// How many postings passages are to have.
fn postings(passages: &[Value]) -> usize {
    passages.iter().map(|passage| exact_terms(passage["text"].as_str().unwrap(), usize::MAX).len()).sum()
}

async fn embedded_tokens(app: &TestApp, tenant: &str, documents: usize) -> u64 {
    let admin = app.user(tenant, "ann", Role::Admin);
    let mut tokens = (0, 0);
    for _ in 0..1_000 {
        let usage = admin.get("/usage").await.expect(200).body;
        let now = usage["embedded_tokens"].as_u64().unwrap();
        // Counted from the stream, which lags a little.
        tokens = if now == tokens.0 { (now, tokens.1 + 1) } else { (now, 0) };
        if usage["documents"] == documents as u64 && now > 0 && tokens.1 > 20 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    tokens.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_anywhere_leaves_nothing_that_the_next_does_not_put_right() {
    let (app, _queue) = app().await;
    let (worker, ada) = (worker(&app).await, app.ada());
    let undisturbed = app.user("globex", "gus", Role::Editor);

    // As it must be, and how many steps it takes.
    let reference = undisturbed.upload("report.md", content(0)).await;
    let (response, steps) = mortal(ingest::handle(worker.clone(), message("globex", &reference, 1)), usize::MAX).await;
    assert!(well(&response.unwrap()) && steps > 20, "{steps}");

    let died = AtomicUsize::new(0);
    let documents = stream::iter(0..4 * KILLS)
        .take_while(|_| ready(died.load(SeqCst) < KILLS))
        .map(|number| {
            let died = &died;
            let (worker, ada, undisturbed, reference) = (&worker, &ada, &undisturbed, &reference);
            async move {
                let id = ada.upload("report.md", content(number)).await;
                // Spread over all of the work, in no order; every fourth is killed twice.
                let steps = 1 + number * 7_919 % steps;
                for steps in [steps, steps / 2].into_iter().take(if number % 4 == 0 { 2 } else { 1 }) {
                    let work = ingest::handle(worker.clone(), message("acme", &id, 1));
                    died.fetch_add(usize::from(mortal(work, steps).await.0.is_none()), SeqCst);
                }
                let response = ingest::handle(worker.clone(), message("acme", &id, 1)).await;
                assert!(well(&response), "{id}");

                let document = ada.get(&format!("/documents/{id}")).await.expect(200).body;
                assert_eq!((&document["status"], &document["error"]), (&json!("ready"), &Value::Null), "{document}");
                assert_eq!(document["served_version"], 1);
                let names: Vec<_> = document["stages"].as_array().unwrap().iter().map(|stage| &stage["name"]).collect();
                assert_eq!(names, ["extracting", "embedding", "indexing"]);
                let mut twin = reference.clone();
                if number > 0 {
                    twin = undisturbed.upload("report.md", content(number)).await;
                    assert!(well(&ingest::handle(worker.clone(), message("globex", &twin, 1)).await));
                }
                let expected = passages(undisturbed, &twin).await;
                assert_eq!(passages(ada, &id).await, expected);
                let (tenant, document) = ("acme".parse().unwrap(), id.parse().unwrap());
                let count = worker.chunks.count(&tenant, document).await.unwrap();
                assert_eq!(count, Count { passages: expected.len(), postings: postings(&expected) });
                assert_eq!(worker.blobs.count(&tenant, document).await.unwrap(), 2, "the original and its text");
            }
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .count()
        .await;
    let died = died.into_inner();
    println!("over {documents} documents {died} workers died, each in one of {steps} steps");
    assert!(died >= KILLS, "{died}");
    // What was paid for twice would show.
    let tokens = embedded_tokens(&app, "acme", documents).await;
    assert_eq!(tokens, embedded_tokens(&app, "globex", documents).await);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_delivered_five_times_at_once_makes_one_document() {
    let (app, _queue) = app().await;
    let (worker, ada) = (worker(&app).await, app.ada());
    for number in 0..20 {
        let id = ada.upload("report.md", content(number)).await;
        let deliveries = (0..5).map(|_| tokio::spawn(ingest::handle(worker.clone(), message("acme", &id, 1))));
        assert!(join_all(deliveries).await.into_iter().all(|response| well(&response.unwrap())));
        let document = ada.get(&format!("/documents/{id}")).await.expect(200).body;
        assert_eq!((&document["status"], &document["chunk_count"]), (&json!("ready"), &json!(10)), "{document}");
        let count = worker.chunks.count(&"acme".parse().unwrap(), id.parse().unwrap()).await.unwrap();
        let shown = ada.chunks(&id).await;
        assert_eq!((count, shown.len()), (Count { passages: 10, postings: postings(&shown) }, 10));
    }
    // One of each five was the one that made it ready, and only that one is counted.
    let each = embedded_tokens(&app, "acme", 20).await;
    let single = app.user("globex", "gus", Role::Editor);
    for number in 0..20 {
        let id = single.upload("report.md", content(number)).await;
        assert!(well(&ingest::handle(worker.clone(), message("globex", &id, 1)).await));
    }
    assert_eq!(each, embedded_tokens(&app, "globex", 20).await);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_over_a_document_that_is_deleted_leaves_no_orphan() {
    let (app, _queue) = app().await;
    let (worker, ada) = (worker(&app).await, app.ada());
    let tenant = "acme".parse().unwrap();
    let (mut late_passages, mut late_postings) = (0, 0);
    for number in 0..40 {
        let id = ada.upload("report.md", content(number)).await;
        let document = id.parse().unwrap();
        let steps = 20 + number * 4;
        let mut work = mortal(ingest::handle(worker.clone(), message("acme", &id, 1)), steps);
        // Half of its life before the document is deleted and purged, half of it after.
        let died = {
            let mut first = mortal(&mut work, steps / 2);
            let first = Pin::new(&mut first).await;
            first.0.is_none()
        };
        ada.delete(&format!("/documents/{id}")).await.expect(202);
        for attempt in 0.. {
            let chunks = worker.chunks.count(&tenant, document).await.unwrap();
            let objects = worker.blobs.count(&tenant, document).await.unwrap();
            if chunks == NOTHING && objects == 0 {
                break;
            }
            assert!(attempt < 500, "{chunks:?} and {objects} objects are left");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        if died {
            work.await;
        }
        let late = worker.chunks.count(&tenant, document).await.unwrap();
        late_passages += late.passages;
        late_postings += late.postings;
        // The message comes back.
        assert!(well(&ingest::handle(worker.clone(), message("acme", &id, 1)).await));
        assert_eq!(worker.chunks.count(&tenant, document).await.unwrap(), NOTHING);
        assert_eq!(worker.blobs.count(&tenant, document).await.unwrap(), 0);
    }
    println!("{late_passages} passages and {late_postings} postings were written after their document was purged");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_overtaken_leaves_a_document_that_was_moved_where_it_went() {
    let (app, _queue) = app().await;
    let (worker, admin) = (worker(&app).await, app.user("acme", "ann", Role::Admin));
    admin.put("/collections/birds", json!({})).await.expect(200);
    let reference = admin.upload("report.md", content(0)).await;
    let (_, steps) = mortal(ingest::handle(worker.clone(), message("acme", &reference, 1)), usize::MAX).await;
    let mut overtaken = 0;
    for number in 1..20 {
        let id = admin.upload("report.md", content(number)).await;
        let mut slow = mortal(ingest::handle(worker.clone(), message("acme", &id, 1)), usize::MAX);
        let reached = steps * number / 20;
        let over = mortal(&mut slow, reached).await.0.is_some();
        assert!(well(&ingest::handle(worker.clone(), message("acme", &id, 1)).await));
        admin.patch(&format!("/documents/{id}"), json!({ "collection": "birds" })).await.expect(200);
        found_all(&admin, &id).await;
        if !over {
            overtaken += 1;
            assert!(well(&slow.await.0.unwrap()));
        }
        assert_eq!(found_in_birds(&admin, &id).await, 10, "after {reached} of {steps} steps");
    }
    assert!(overtaken > 5, "{overtaken}");
    app.stop().await;
}

/// How many passages of a document a search of its collection finds.
async fn found_in_birds(user: &User<'_>, id: &str) -> usize {
    let query = json!({ "query": "ducks", "collections": ["birds"], "document_ids": [id], "limit": 100 });
    user.post("/search", query).await.expect(200).body["data"].as_array().unwrap().len()
}

async fn found_all(user: &User<'_>, id: &str) {
    for attempt in 0.. {
        if found_in_birds(user, id).await == 10 {
            return;
        }
        assert!(attempt < 500, "its passages do not follow");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
