//! The worker does everything once, however often it is asked.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::clients::Builder;
use shared::documents::Documents;
use tests::TestApp;
use time::OffsetDateTime;

use crate::flow::DUCKS;
use crate::queues::{messages, queue};

#[tokio::test(flavor = "multi_thread")]
async fn uploads_of_the_same_bytes_at_the_same_time_make_one_document() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let upload = || ada.upload_with("ducks.md", DUCKS.as_bytes(), &[]);
    let answers = tokio::join!(upload(), upload(), upload(), upload());
    let answers = [answers.0, answers.1, answers.2, answers.3];
    let new = answers.iter().filter(|answer| answer.status == 202).count();
    assert_eq!(new, 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.body["document"]["id"] == answers[0].body["document"]["id"]));
    ada.worked_off(answers[0].body["document"]["id"].as_str().unwrap()).await;
    assert_eq!(ada.get("/documents").await.expect(200).body["data"].as_array().unwrap().len(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_delivered_again_changes_nothing() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let document = ada.ready("ducks.md", DUCKS).await;
    let id = document["id"].as_str().unwrap();
    let chunks = ada.chunks(id).await;
    let announcements = app.folder().join("objects/announcements");
    for copy in 0..5 {
        let key = format!("t/acme/{id}/1/original");
        let notification = json!({ "Records": [record(&key)] });
        fs::write(announcements.join(format!("copy-{copy}.json")), notification.to_string()).unwrap();
    }
    // What is announced goes on to the queue of work.
    let queues = ["announcements", "ingest"].map(|name| queue(&app, name));
    let empty = || queues.iter().all(|queue| messages(queue).is_empty());
    for _ in 0..500 {
        if empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(empty(), "all were worked off");
    assert_eq!(ada.get(&format!("/documents/{id}")).await.expect(200).body, document);
    assert_eq!(ada.chunks(id).await, chunks);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_document_is_gone_from_every_answer_at_once_and_can_come_back() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let document = ada.ready("ducks.md", DUCKS).await;
    let id = document["id"].as_str().unwrap();
    let deleted = ada.delete(&format!("/documents/{id}")).await.expect(202).body;
    assert_eq!(deleted, json!({ "id": id, "status": "deleting" }));
    assert!(ada.search("what do ducks eat?").await.is_empty());
    for path in [format!("/documents/{id}"), format!("/documents/{id}/chunks")] {
        ada.get(&path).await.expect(404);
    }
    ada.delete(&format!("/documents/{id}")).await.expect(404);
    let (original, started) = (app.folder().join(format!("objects/t/acme/{id}/1/original")), Instant::now());
    while original.exists() {
        assert!(started.elapsed() < Duration::from_secs(10), "the original is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let again = ada.ready("ducks.md", DUCKS).await;
    assert_ne!(again["id"], document["id"]);
    assert_eq!(ada.search("what do ducks eat?").await[0]["document_id"], again["id"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_deleted_twice_takes_nothing_from_the_next_with_its_bytes() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let id = ada.upload("ducks.md", DUCKS).await;
    let dynamodb = Builder::new(app.running().variables().clone()).await.unwrap().dynamodb().unwrap();
    let (documents, tenant) = (Documents::new(&dynamodb), "acme".parse().unwrap());
    let first = documents.get(&tenant, id.parse().unwrap()).await.unwrap();
    let delete = || documents.delete(&tenant, &first.collection, first.id, OffsetDateTime::now_utc());
    assert!(delete().await.unwrap());
    let second = ada.upload("ducks.md", DUCKS).await;
    // Somebody who read the first before it was gone.
    assert!(!delete().await.unwrap());
    let again = ada.upload_with("ducks.md", DUCKS.as_bytes(), &[]).await.expect(200).body;
    assert_eq!((&again["duplicate"], &again["document"]["id"]), (&true.into(), &second.as_str().into()));
    app.stop().await;
}

/// A record of a notification as S3 writes it.
fn record(key: &str) -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
        "eventTime": "2026-11-23T12:00:00.000Z", "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "x"}, "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {},
        "s3": {
            "s3SchemaVersion": "1.0", "configurationId": "ingest",
            "bucket": {"name": "b", "ownerIdentity": {"principalId": "x"}, "arn": "arn:aws:s3:::b"},
            "object": {"key": key, "size": 5, "sequencer": "0"}
        }
    })
}
