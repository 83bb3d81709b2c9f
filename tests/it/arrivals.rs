//! Bytes that have come are worked on, whoever announced them and however often.

use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use serde_json::{Value, json};
use shared::clients::{FolderQueue, Place};
use shared::tasks::{Awaited, Task};
use tests::User;
use time::OffsetDateTime;

use crate::crashes::{app, delivery, message, queue, well};
use crate::flow::DUCKS;
use crate::uploads::{announced, announcement, id, put, sha256, with};

/// The messages of a queue that look for the bytes of a document, now rather than later.
fn looks(queue: &FolderQueue, id: &str) -> Vec<Awaited> {
    let read = |place: &Place| match Task::read(&queue.body(place).unwrap_or_default()) {
        Some(Task::Expire(awaited)) if awaited.document.to_string() == id => Some(awaited),
        _ => None,
    };
    queue.list().unwrap().iter().filter_map(read).collect()
}

/// One of them, delivered.
fn look(awaited: &Awaited, receives: u32) -> SqsEvent {
    delivery(awaited.message(0).unwrap().body, receives)
}

async fn document(user: &User<'_>, id: &str) -> Value {
    user.get(&format!("/documents/{id}")).await.expect(200).body
}

async fn with_status(user: &User<'_>, id: &str, status: &str) -> Value {
    for attempt in 0.. {
        let found = document(user, id).await;
        if found["status"] == status {
            return found;
        }
        assert!(attempt < 500, "it does not become {status}: {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Value::Null
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_worker_says_so_and_does_not_expire() {
    let (app, folder) = app().await;
    let (worker, ada) = (app.worker().await, app.ada());
    let answer = announced(&ada, announcement(DUCKS.as_bytes())).await;
    assert_eq!(put(&answer["upload"], DUCKS.as_bytes()).await.status(), 200);
    with_status(&ada, id(&answer), "queued").await;

    // The announcement waits behind many others, or is lost; meanwhile the time for the bytes is over.
    let mut awaited = looks(&queue(&folder), id(&answer)).remove(0);
    awaited.expires_at = 0;
    assert!(well(&ingest::handle(worker.clone(), look(&awaited, 1)).await));
    let ready = document(&ada, id(&answer)).await;
    assert_eq!((&ready["status"], &ready["sha256"]), (&json!("ready"), &json!(sha256(DUCKS.as_bytes()))));
    // When the announcement comes after all, there is nothing left to do.
    assert!(well(&ingest::handle(worker, message("acme", id(&answer), 1)).await));
    assert_eq!(document(&ada, id(&answer)).await, ready);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_announce_bytes_again_takes_nothing_away_that_has_come() {
    let (app, folder) = app().await;
    let (worker, ada) = (app.worker().await, app.ada());
    let bytes = DUCKS.as_bytes();
    let announcement = with(announcement(bytes), "sha256", sha256(bytes));
    let first = announced(&ada, announcement.clone()).await;
    // They are there, and the storage has not said so yet.
    let original = app.folder().join(format!("objects/t/acme/{}/1/original", id(&first)));
    std::fs::create_dir_all(original.parent().unwrap()).unwrap();
    std::fs::write(&original, bytes).unwrap();
    // Somebody else has the same file, or the same client did not hear the answer.
    let again = ada.post("/documents/upload", announcement).await.expect(200).body;
    assert_eq!((id(&again), &again["duplicate"], &again["upload"]), (id(&first), &json!(true), &Value::Null));
    assert_eq!(again["document"]["status"], "queued");
    assert_eq!(std::fs::read(original).unwrap(), bytes);

    let now = OffsetDateTime::now_utc().unix_timestamp();
    let due = looks(&queue(&folder), id(&first)).into_iter().find(|awaited| awaited.expires_at <= now).unwrap();
    assert!(well(&ingest::handle(worker, look(&due, 1)).await));
    assert_eq!(document(&ada, id(&first)).await["status"], "ready");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_failed_for_no_fault_of_theirs_need_not_be_put_again() {
    let (app, folder) = app().await;
    let (worker, ada) = (app.worker().await, app.ada());
    let bytes = DUCKS.as_bytes();
    let announcement = with(announcement(bytes), "sha256", sha256(bytes));
    let first = announced(&ada, announcement.clone()).await;
    assert_eq!(put(&first["upload"], bytes).await.status(), 200);
    let given_up = message("acme", id(&first), 1).records.remove(0).body.unwrap();
    assert!(!well(&ingest::handle(worker.clone(), delivery(given_up, 99)).await), "it is a dead letter");
    assert_eq!(document(&ada, id(&first)).await["error"]["code"], "internal");

    let again = ada.post("/documents/upload", announcement).await.expect(200).body;
    assert_eq!((&again["document"]["status"], &again["upload"]), (&json!("queued"), &Value::Null));
    for awaited in looks(&queue(&folder), id(&first)) {
        assert!(well(&ingest::handle(worker.clone(), look(&awaited, 1)).await));
    }
    assert_eq!(document(&ada, id(&first)).await["status"], "ready");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_ever_when_workers_die_looking_for_bytes() {
    let (app, folder) = app().await;
    let (worker, ada) = (app.worker().await, app.ada());
    let answer = announced(&ada, announcement(DUCKS.as_bytes())).await;
    let awaited = looks(&queue(&folder), id(&answer)).remove(0);
    assert!(!well(&ingest::handle(worker, look(&awaited, 99)).await), "it is a dead letter");
    assert_eq!(document(&ada, id(&answer)).await["error"]["code"], "internal");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_fails_once_however_often_it_is_announced() {
    let (app, _folder) = app().await;
    let (worker, ada) = (app.worker().await, app.ada());
    let id = ada.upload("noise.bin", b"\x7fELF\x02\x01\x01\0\0 not a document").await;
    assert!(well(&ingest::handle(worker.clone(), message("acme", &id, 1)).await));
    let failed = document(&ada, &id).await;
    assert_eq!(failed["error"]["code"], "unsupported_type");
    for _ in 0..3 {
        assert!(well(&ingest::handle(worker.clone(), message("acme", &id, 1)).await));
        assert_eq!(document(&ada, &id).await, failed);
    }
    // Nor does an upload that is slower than its worker say that it waits for one, for which none would come.
    let (tenant, document) = ("acme".parse().unwrap(), id.parse().unwrap());
    let queued = worker.documents.queued(&tenant, document, 1, OffsetDateTime::now_utc()).await.unwrap();
    assert_eq!(queued, None);
    app.stop().await;
}
