//! What a tenant uses is counted.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::TestApp;

use crate::flow::DUCKS;

#[tokio::test(flavor = "multi_thread")]
async fn requests_tokens_and_documents_are_counted_for_their_tenant() {
    let app = TestApp::start().await;
    let owner = app.user("acme", "olga", Role::Owner);
    let before = owner.get("/usage").await.expect(200).body;
    assert_eq!(
        (&before["requests"], &before["documents"], &before["storage_bytes"], &before["chat_tokens"]),
        (&json!(1), &json!(0), &json!(0), &json!(0))
    );
    let document = app.ada().ready("ducks.md", DUCKS).await;
    let chat = app.ada().post("/chat", json!({ "message": "What do ducks eat?", "stream": false })).await.expect(200);
    let tokens =
        chat.body["usage"]["input_tokens"].as_u64().unwrap() + chat.body["usage"]["output_tokens"].as_u64().unwrap();
    app.nobody().get("/documents").await.expect(401);

    let started = Instant::now();
    let counted = |usage: &Value| {
        usage["documents"] == 1
            && usage["storage_bytes"] == DUCKS.len()
            && usage["chat_tokens"] == tokens
            && usage["embedded_tokens"].as_u64().unwrap() > 5
    };
    let mut asked = 1;
    let usage = loop {
        asked += 1;
        let usage = owner.get("/usage").await.expect(200).body;
        if counted(&usage) {
            break usage;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{usage}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(usage["requests"].as_u64().unwrap() >= asked + 3, "{usage}");
    let limits = usage["limits"].as_array().unwrap();
    assert_eq!(
        limits.iter().map(|limit| limit["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["ip", "user", "tenant"]
    );
    assert!(limits[1]["remaining"].as_u64().unwrap() < limits[1]["quota"].as_u64().unwrap(), "{usage}");

    app.ada().delete(&format!("/documents/{}", document["id"].as_str().unwrap())).await.expect(202);
    while owner.get("/usage").await.expect(200).body["documents"] != 0 {
        assert!(started.elapsed() < Duration::from_secs(10), "the document is still counted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let after = owner.get("/usage").await.expect(200).body;
    assert_eq!((&after["storage_bytes"], &after["embedded_tokens"]), (&json!(0), &usage["embedded_tokens"]));

    let other = app.user("other", "olga", Role::Owner).get("/usage").await.expect(200).body;
    assert_eq!((&other["requests"], &other["chat_tokens"]), (&json!(1), &json!(0)));
    let last = owner.get("/usage?period=2020-01").await.expect(200).body;
    assert_eq!((&last["period"], &last["requests"]), (&json!("2020-01"), &json!(0)));
    owner.get("/usage?period=2020-13").await.expect(400);
    app.ada().get("/usage").await.expect(403);
    app.stop().await;
}
