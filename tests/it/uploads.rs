//! Files that their owner puts into the storage.

use std::time::Duration;

use reqwest::{Client, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::tenancy::Role;
use tests::{TestApp, User};

use crate::flow::DUCKS;

pub(crate) fn announcement(bytes: &[u8]) -> Value {
    json!({ "filename": "ducks.md", "content_type": "text/markdown", "size_bytes": bytes.len() })
}

pub(crate) fn with(mut value: Value, field: &str, content: impl Into<Value>) -> Value {
    value[field] = content.into();
    value
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digits = |byte: &u8| format!("{byte:02x}");
    Sha256::digest(bytes).iter().map(digits).collect()
}

/// Announces a file, which must be awaited then.
pub(crate) async fn announced(user: &User<'_>, announcement: Value) -> Value {
    user.post("/documents/upload", announcement).await.expect(201).body
}

/// Puts bytes where an announcement says.
pub(crate) async fn put(upload: &Value, bytes: &[u8]) -> Response {
    let mut request = Client::new().put(upload["url"].as_str().unwrap()).body(bytes.to_vec());
    for (name, value) in upload["headers"].as_object().unwrap().iter().filter(|(name, _)| *name != "content-length") {
        request = request.header(name, value.as_str().unwrap());
    }
    request.send().await.unwrap()
}

pub(crate) fn id(answer: &Value) -> &str {
    answer["document"]["id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_announced_put_and_found() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let bytes = DUCKS.as_bytes();
    for announcement in
        [announcement(bytes), with(announcement(b"# Other\n\nPumps."), "sha256", sha256(b"# Other\n\nPumps."))]
    {
        let answer = announced(&ada, announcement.clone()).await;
        assert_eq!(answer["document"]["status"], "awaiting_upload");
        assert_eq!(answer["document"]["sha256"], announcement.get("sha256").cloned().unwrap_or_default());
        assert_eq!(answer["upload"]["method"], "PUT");
        ada.get(&format!("/documents/{}/content", id(&answer))).await.expect(409);
        let bytes: &[u8] = if announcement["sha256"].is_null() { bytes } else { b"# Other\n\nPumps." };
        assert_eq!(put(&answer["upload"], bytes).await.status(), 200);
        let document = ada.worked_off(id(&answer)).await;
        assert_eq!((&document["status"], &document["sha256"]), (&json!("ready"), &json!(sha256(bytes))));
    }
    assert_eq!(ada.search("what do ducks eat?").await[0]["filename"], "ducks.md");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_announced_bytes_can_be_put_and_only_once() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let (bytes, other) = (DUCKS.as_bytes(), DUCKS.to_uppercase().into_bytes());
    let answer = announced(&ada, with(announcement(bytes), "sha256", sha256(bytes))).await;
    let upload = &answer["upload"];
    for wrong in [&bytes[1..], &[bytes, b"x"].concat(), b"", &other] {
        assert_eq!(put(upload, wrong).await.status(), 400, "{} bytes", wrong.len());
    }
    let url = upload["url"].as_str().unwrap();
    for altered in [url.replace("size=", "size=1"), url.replace("/1?", "/2?"), url.replace("acme", "globex")] {
        assert_eq!(put(&with(upload.clone(), "url", altered), bytes).await.status(), 403);
    }
    assert_eq!(ada.get(&format!("/documents/{}", id(&answer))).await.body["status"], "awaiting_upload");
    assert_eq!(put(upload, bytes).await.status(), 200);
    assert_eq!(ada.worked_off(id(&answer)).await["status"], "ready");
    assert_eq!(put(upload, bytes).await.status(), 409, "what is there stays");

    // Without a checksum the address takes any bytes of that size, but still only once.
    let answer = announced(&ada, announcement(&other)).await;
    assert_eq!(put(&answer["upload"], &other).await.status(), 200);
    assert_eq!(put(&answer["upload"], bytes).await.status(), 409);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_never_arrives_is_given_up_and_may_come_later() {
    let app = TestApp::start_with(&[("UPLOAD_URL_SECONDS", "2")]).await;
    let ada = app.ada();
    let bytes = DUCKS.as_bytes();
    let announcement = with(announcement(bytes), "sha256", sha256(bytes));
    let first = announced(&ada, announcement.clone()).await;
    let document = ada.worked_off(id(&first)).await;
    assert_eq!((&document["status"], &document["error"]["code"]), (&json!("failed"), &json!("upload_expired")));
    assert_eq!(put(&first["upload"], bytes).await.status(), 403, "the address is too old");

    let again = announced(&ada, announcement).await;
    assert_eq!((id(&again), &again["duplicate"]), (id(&first), &json!(true)));
    assert_eq!(again["document"]["status"], "awaiting_upload");
    assert_eq!(put(&again["upload"], bytes).await.status(), 200);
    assert_eq!(ada.worked_off(id(&first)).await["status"], "ready");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(ada.get(&format!("/documents/{}", id(&first))).await.body["status"], "ready", "what arrived stays");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_are_stored_once_however_they_come() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let (bytes, existing) = (DUCKS.as_bytes(), ada.ready("ducks.md", DUCKS).await);
    let known =
        ada.post("/documents/upload", with(announcement(bytes), "sha256", sha256(bytes))).await.expect(200).body;
    assert_eq!((&known["document"], &known["duplicate"], &known["upload"]), (&existing, &json!(true), &Value::Null));

    let unknown = announced(&ada, announcement(bytes)).await;
    assert_eq!(put(&unknown["upload"], bytes).await.status(), 200);
    let document = ada.worked_off(id(&unknown)).await;
    assert_eq!(document["error"]["code"], "duplicate", "{document}");
    assert!(document["error"]["detail"].as_str().unwrap().contains(existing["id"].as_str().unwrap()));
    ada.delete(&format!("/documents/{}", id(&unknown))).await.expect(202);
    assert_eq!(ada.search("what do ducks eat?").await[0]["document_id"], existing["id"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_an_announcement_is_named_and_nothing_is_stored() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let good = announcement(DUCKS.as_bytes());
    for (field, content) in [
        ("filename", json!("")),
        ("filename", json!("a/b.txt")),
        ("content_type", json!("")),
        ("content_type", json!("text/ü")),
        ("content_type", json!("a\r\nb")),
        ("size_bytes", json!(0)),
        ("size_bytes", json!(100 * 1024 * 1024 + 1)),
        ("size_bytes", json!(-1)),
        ("size_bytes", json!("5")),
        ("sha256", json!("abc")),
        ("sha256", json!("A".repeat(64))),
        ("collection", json!("none-such")),
        ("collection", json!("Wrong Name")),
        ("metadata", json!([])),
        ("metadata", json!({ "": 1 })),
        ("document_id", json!("01J9ZQ3W6V8Y0ABCDEFGHJKMNP")),
        ("document_id", json!("x")),
        ("surprise", json!(1)),
    ] {
        let answer = ada.post("/documents/upload", with(good.clone(), field, content.clone())).await.expect(400);
        let pointer = answer.body["errors"][0]["pointer"].as_str().unwrap();
        assert!(pointer.starts_with(&format!("/{field}")), "{field} {content}: {}", answer.body);
    }
    for missing in ["filename", "content_type", "size_bytes"] {
        let mut lacking = good.clone();
        lacking.as_object_mut().unwrap().remove(missing);
        ada.post("/documents/upload", lacking).await.expect(400);
    }
    app.user("acme", "vic", Role::Viewer).post("/documents/upload", good).await.expect(403);
    assert_eq!(ada.get("/documents").await.expect(200).body["data"], json!([]));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_files_are_taken_as_they_come() {
    let app = TestApp::start().await;
    let ada = app.ada();
    // Larger than a form may be, and than what is held of it at once.
    let text = format!("# Ducks\n\n{}", "The duck swims across the lake to the reeds. ".repeat(400_000));
    let answer = announced(&ada, announcement(text.as_bytes())).await;
    assert_eq!(put(&answer["upload"], text.as_bytes()).await.status(), 200);
    let original = app.folder().join(format!("objects/t/acme/{}/1/original", id(&answer)));
    assert_eq!(std::fs::metadata(original).unwrap().len(), text.len() as u64);
    let too_large = ada.upload_with("ducks.md", text.as_bytes(), &[]).await.expect(413).body;
    assert!(too_large["detail"].as_str().unwrap().contains("announce"), "{too_large}");
    ada.delete(&format!("/documents/{}", id(&answer))).await.expect(202);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_arrive_for_a_document_that_is_gone_go_too() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let answer = announced(&ada, announcement(DUCKS.as_bytes())).await;
    ada.delete(&format!("/documents/{}", id(&answer))).await.expect(202);
    // Its address is still good.
    assert_eq!(put(&answer["upload"], DUCKS.as_bytes()).await.status(), 200);
    let worker = app.worker().await;
    for attempt in 0.. {
        let (tenant, document) = ("acme".parse().unwrap(), id(&answer).parse().unwrap());
        if worker.blobs.count(&tenant, document).await.unwrap() == 0 {
            break;
        }
        assert!(attempt < 500, "they are still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(ada.search("what do ducks eat?").await.is_empty());
    app.stop().await;
}
