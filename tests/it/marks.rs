//! Bytes belong to the document that has them, and to none else, whatever happens to it at the same time: nothing is doubled,
//! and nothing is taken for there that is not.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use axum::Router;
use http::StatusCode;
use serde_json::json;
use shared::clients::Builder;
use shared::config::Variables;
use shared::documents::{Arrived, Created, Document, Finished, Incoming, Indexed, Replaced, StageName, Status};
use shared::editions::Edition;
use shared::tenancy::{CollectionId, DocumentId, TenantId};
use tests::TestApp;
use time::OffsetDateTime;
use tokio::net::TcpListener;

/// Two things that happen at the same time meet in few rounds.
const ROUNDS: usize = 60;

fn acme() -> TenantId {
    "acme".parse().unwrap()
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn entered(sha256: Option<String>) -> Document {
    Document {
        id: DocumentId::new(),
        collection: CollectionId::default_collection(),
        filename: "ducks.md".to_owned(),
        content_type: "text/markdown".to_owned(),
        size_bytes: 5,
        sha256,
        version: 1,
        served_version: None,
        status: Status::AwaitingUpload,
        stages: Vec::new(),
        error: None,
        chunk_count: 0,
        language: None,
        metadata: serde_json::Map::new(),
        created_at: now(),
        updated_at: now(),
        created_by: "ada".parse().unwrap(),
        trace: None,
    }
}

fn incoming(sha256: &str) -> Incoming {
    Incoming {
        filename: "new.md".to_owned(),
        content_type: "text/markdown".to_owned(),
        size_bytes: 6,
        sha256: Some(sha256.to_owned()),
        metadata: None,
        expires_at: now(),
    }
}

/// A checksum like no other.
fn bytes(round: usize, kind: &str) -> String {
    format!("{round:0>4}{kind:0>60}")
}

/// Which document has the bytes, by what becomes of somebody who brings them.
async fn owner(documents: &shared::documents::Documents, sha256: &str) -> Option<DocumentId> {
    match documents.create(&acme(), &entered(Some(sha256.to_owned())), now()).await.unwrap() {
        Created::Duplicate(id) => Some(id),
        Created::New => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_become_known_and_are_replaced_at_the_same_time() {
    let app = TestApp::start().await;
    let documents = app.worker().await.documents;
    let mut known = 0;
    for round in 0..ROUNDS {
        let (first, second) = (bytes(round, "1"), bytes(round, "2"));
        let document = entered(None);
        documents.create(&acme(), &document, now()).await.unwrap();
        let (tenant, incoming) = (acme(), incoming(&second));
        let (arrived, replaced) = tokio::join!(
            documents.arrived(&tenant, &document, &first, now()),
            documents.replace(&tenant, &document.collection, document.id, &incoming, now()),
        );
        known += usize::from(matches!(arrived, Ok(Arrived::Known(_))));
        assert!(matches!(replaced, Ok(Replaced::New(_))), "{replaced:?}");
        assert_eq!(owner(&documents, &second).await, Some(document.id), "round {round}");
        assert_eq!(owner(&documents, &first).await, None, "round {round}: the first bytes are nobody's");
    }
    println!("in {known} of {ROUNDS} rounds the bytes were known before they were replaced");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_becomes_ready_and_is_replaced_at_the_same_time() {
    let app = TestApp::start().await;
    let documents = app.worker().await.documents;
    let indexed = Indexed { chunk_count: 0, embedded_tokens: 0, edition: Edition::FIRST, language: None };
    let mut served = 0;
    for round in 0..ROUNDS {
        let (first, second) = (bytes(round, "1"), bytes(round, "2"));
        let document = entered(Some(first.clone()));
        documents.create(&acme(), &document, now()).await.unwrap();
        let document = documents.begin_stage(&acme(), &document, StageName::Extracting, now()).await.unwrap().unwrap();
        let (tenant, incoming) = (acme(), incoming(&second));
        let (ready, replaced) = tokio::join!(
            documents.ready(&tenant, &document, &indexed, now()),
            documents.replace(&tenant, &document.collection, document.id, &incoming, now()),
        );
        assert!(matches!(replaced, Ok(Replaced::New(_))), "{replaced:?}");
        let is_served = documents.get(&acme(), document.id).await.unwrap().served_version == Some(1);
        assert_eq!(is_served, matches!(ready, Ok(Finished::Ready)), "{ready:?}");
        served += usize::from(is_served);
        assert_eq!(owner(&documents, &second).await, Some(document.id), "round {round}");
        let expected = is_served.then_some(document.id);
        assert_eq!(owner(&documents, &first).await, expected, "round {round}: what is served has its mark");
    }
    println!("in {served} of {ROUNDS} rounds the version was ready before it was replaced");
    app.stop().await;
}

/// A database that is busy with a transaction for so many requests, and then says that a condition does not hold; how often
/// it is asked.
async fn busy(requests: usize) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let answer = move || {
        let is_busy = count.fetch_add(1, SeqCst) < requests;
        let fault = if is_busy { "TransactionConflictException" } else { "ConditionalCheckFailedException" };
        let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{fault}"), "message": "as asked" });
        async move { (StatusCode::BAD_REQUEST, body.to_string()) }
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (url, asked)
}

#[tokio::test]
async fn a_change_waits_for_transactions_with_the_document_but_not_for_ever() {
    for (requests, expected) in [(2, 3), (usize::MAX, 5)] {
        let (url, asked) = busy(requests).await;
        let variables = [("DYNAMODB_ENDPOINT", url.as_str()), ("AWS_REGION", "us-east-1")];
        let dynamodb = Builder::new(Variables::from_pairs(variables)).await.unwrap().dynamodb().unwrap();
        let documents = shared::documents::Documents::new(&dynamodb);
        let queued = documents.queued(&acme(), DocumentId::new(), 1, now()).await;
        if requests < 5 {
            assert_eq!(queued.unwrap(), None);
        } else {
            assert!(matches!(queued, Err(shared::error::Error::Unavailable { .. })), "{queued:?}");
        }
        assert_eq!(asked.load(SeqCst), expected);
    }
}
