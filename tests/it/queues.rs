//! What waits to be worked on: in fair order, never lost, never worked on twice at once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use local::DataFolder;
use serde_json::{Value, json};
use shared::clients::{FolderQueue, Place};
use shared::tasks::Task;
use shared::tenancy::Role;
use tests::{Embeddings, Instance, TestApp};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::flow::DUCKS;

const INSTANCE: &str = env!("CARGO_BIN_EXE_instance");
const LIMIT: Duration = Duration::from_mins(1);

async fn until(what: impl Fn() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(started.elapsed() < LIMIT, "it does not come to that");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A queue of an installation, by its name.
pub(crate) fn queue(app: &TestApp, name: &str) -> FolderQueue {
    let queues = DataFolder::open(app.folder()).unwrap().queues().unwrap();
    queues.into_iter().find(|queue| queue.name() == name).unwrap()
}

/// Its messages, but those that give up uploads later on.
pub(crate) fn messages(queue: &FolderQueue) -> Vec<Place> {
    let is_upload = |place: &Place| Task::read(&queue.body(place).unwrap_or_default()).is_none();
    queue.list().unwrap().into_iter().filter(is_upload).collect()
}

/// A notification of the storage.
pub(crate) fn notification(key: &str) -> String {
    json!({
        "Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
            "eventTime": "2026-11-23T12:00:00.000Z", "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": "x"}, "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {},
            "s3": {
                "s3SchemaVersion": "1.0", "configurationId": "ingest",
                "bucket": {"name": "b", "ownerIdentity": {"principalId": "x"}, "arn": "arn:aws:s3:::b"},
                "object": {"key": key, "size": 5, "sequencer": "0"}
            }
        }]
    })
    .to_string()
}

fn time_of(value: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(value.as_str().unwrap(), &Rfc3339).unwrap()
}

/// When a document became ready.
fn ready_at(document: &Value) -> OffsetDateTime {
    assert_eq!(document["status"], "ready", "{document}");
    time_of(&document["stages"].as_array().unwrap().last().unwrap()["ended_at"])
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_of_a_tenant_does_not_wait_for_three_hundred_of_another() {
    const FILES: usize = 300;
    let embeddings = Embeddings::start(384).await;
    // So that work takes longer than uploading.
    embeddings.pause(Duration::from_millis(20));
    let app = TestApp::start_with(&embeddings.variables()).await;
    let (a, b) = (app.user("alpha", "ada", Role::Editor), app.user("beta", "bob", Role::Editor));
    let mut ids = Vec::new();
    for number in 0..FILES {
        ids.push(a.upload(&format!("{number}.md"), format!("# Report {number}\n\nAll is well with {number}.")).await);
    }
    let single = b.ready("ducks.md", DUCKS).await;

    let mut before_and_meanwhile = (0, 0);
    for id in ids {
        let ready = ready_at(&a.worked_off(&id).await);
        if ready < time_of(&single["created_at"]) {
            before_and_meanwhile.0 += 1;
        } else if ready < ready_at(&single) {
            before_and_meanwhile.1 += 1;
        }
    }
    let (before, meanwhile) = before_and_meanwhile;
    println!("{before} of {FILES} were ready before the single file came, {meanwhile} more before it was ready");
    assert!(before < FILES - 50, "{before} were ready before, so nothing was in its way");
    assert!(meanwhile < 20, "{meanwhile} became ready while the single file waited");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_makes_no_sense_ends_as_dead_letter_and_harms_no_other() {
    let app = TestApp::start_with(&[("INGEST_RETRY_MS", "1"), ("QUEUE_VISIBILITY_MS", "100")]).await;
    let tenant = "acme".parse().unwrap();
    for name in ["announcements", "ingest"] {
        queue(&app, name).send(Some(&tenant), "no notification", Duration::ZERO).unwrap();
    }
    app.ada().ready("ducks.md", DUCKS).await;
    for (name, receives) in [("announcements", 10), ("ingest", 6)] {
        until(|| !queue(&app, name).dead().unwrap().is_empty()).await;
        let dead = queue(&app, name).dead().unwrap();
        assert_eq!((dead.len(), dead[0].receives, dead[0].group.as_ref()), (1, receives, Some(&tenant)), "{name}");
        until(|| messages(&queue(&app, name)).is_empty()).await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_given_up_is_failed_and_tried_anew_after_a_redrive() {
    let embeddings = Embeddings::start(384).await;
    embeddings.fail(true);
    let variables = [&embeddings.variables()[..], &[("INGEST_RETRY_MS", "1")]].concat();
    let app = TestApp::start_with(&variables).await;
    let id = app.ada().upload("ducks.md", DUCKS).await;
    let document = app.ada().worked_off(&id).await;
    assert_eq!(document["error"]["code"], "embedding_failed", "{document}");
    until(|| queue(&app, "ingest").dead().unwrap().len() == 1).await;

    embeddings.fail(false);
    assert_eq!(queue(&app, "ingest").redrive().unwrap(), 1);
    until(|| messages(&queue(&app, "ingest")).is_empty()).await;
    let document = app.ada().get(&format!("/documents/{id}")).await.expect(200).body;
    assert_eq!((&document["status"], &document["error"]), (&json!("ready"), &Value::Null));
    assert!(queue(&app, "ingest").dead().unwrap().is_empty());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_workers_die_over_is_failed_and_its_message_a_dead_letter() {
    let embeddings = Embeddings::start(384).await;
    embeddings.pause(Duration::from_hours(1));
    let variables = [&embeddings.variables()[..], &[("INGEST_MAX_ATTEMPTS", "1")]].concat();
    let app = TestApp::start_with(&variables).await;
    let id = app.ada().upload("ducks.md", DUCKS).await;
    until(|| !embeddings.asked().is_empty()).await;

    // The message of a worker that died at its last attempt. Sent with a delay, so that nobody takes it before it looks so.
    let ingest = queue(&app, "ingest");
    let body = notification(&format!("t/acme/{id}/1/original"));
    ingest.send(Some(&"acme".parse().unwrap()), &body, Duration::from_mins(1)).unwrap();
    let sent = messages(&ingest).into_iter().find(|place| place.receives == 0).unwrap();
    ingest.receive(&sent, Duration::ZERO).unwrap().unwrap();

    let document = app.ada().worked_off(&id).await;
    assert_eq!((&document["status"], &document["error"]["code"]), (&json!("failed"), &json!("internal")));
    until(|| queue(&app, "ingest").dead().unwrap().len() == 1).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_takes_longer_than_a_message_is_hidden_is_begun_once() {
    let embeddings = Embeddings::start(384).await;
    embeddings.pause(Duration::from_secs(4));
    let further = [("QUEUE_VISIBILITY_MS", "1000"), ("INGEST_HEARTBEAT_MS", "400")];
    let app = TestApp::start_with(&[&embeddings.variables()[..], &further].concat()).await;
    app.ada().ready("ducks.md", DUCKS).await;
    until(|| messages(&queue(&app, "ingest")).is_empty()).await;
    let mut asked = embeddings.asked();
    let all = asked.len();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked.len(), all, "no passage was embedded twice");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_work_and_do_none_of_it_twice() {
    const FILES: usize = 40;
    let embeddings = Embeddings::start(384).await;
    embeddings.pause(Duration::from_millis(50));
    let app = TestApp::start_with(&embeddings.variables()).await;
    let services = [("REDIS_URL", app.redis_url()), ("DYNAMODB_ENDPOINT", app.dynamodb_endpoint())];
    let variables = [&embeddings.variables()[..], &services].concat();
    let _other = Instance::start_with_workers(INSTANCE, app.folder(), &variables).await;
    let ada = app.ada();
    let mut ids = Vec::new();
    for number in 0..FILES {
        ids.push(ada.upload(&format!("{number}.md"), format!("Report {number} says that all is well.")).await);
    }
    for id in ids {
        ready_at(&ada.worked_off(&id).await);
    }
    let mut asked: HashMap<String, usize> = HashMap::new();
    for text in embeddings.asked() {
        *asked.entry(text).or_default() += 1;
    }
    assert_eq!((asked.len(), asked.values().max()), (FILES, Some(&1)), "{asked:?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_only_what_failed_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let work = FolderQueue::open(&folder.path().join("work")).unwrap();
    // A queue elsewhere: the installation hands on what arrives, and does not work it off.
    let url = format!("file://{}/work", folder.path().display());
    let app = TestApp::start_with(&[("INGEST_QUEUE_URL", &url)]).await;
    let ids = [app.ada().upload("ducks.md", DUCKS).await, app.ada().upload("more.md", "# More\n\nOf ducks.").await];
    work.send(None, "no notification", Duration::ZERO).unwrap();
    until(|| messages(&work).len() == 3).await;

    let mut event = SqsEvent::default();
    let mut bad = String::new();
    for place in messages(&work) {
        let place = work.receive(&place, Duration::from_secs(1)).unwrap().unwrap();
        let mut message = SqsMessage::default();
        message.message_id = Some(place.id.clone());
        message.receipt_handle = Some(place.receipt_handle());
        message.body = Some(work.body(&place).unwrap());
        message.attributes.insert("ApproximateReceiveCount".to_owned(), place.receives.to_string());
        message.event_source_arn = Some("arn:aws:sqs:us-east-1:123456789012:work".to_owned());
        match &place.group {
            Some(group) => assert_eq!(group.as_str(), "acme"),
            None => bad = place.id,
        }
        event.records.push(message);
    }
    let response = ingest::handle(app.worker().await, event).await;
    let failed: Vec<_> = response.batch_item_failures.iter().map(|failure| &failure.item_identifier).collect();
    assert_eq!(failed, [&bad]);
    for id in ids {
        ready_at(&app.ada().get(&format!("/documents/{id}")).await.expect(200).body);
    }
    let left = work.list().unwrap().into_iter().find(|place| place.id == bad).unwrap();
    assert!(!left.is_visible(), "it waits for its next attempt");
    app.stop().await;
}
