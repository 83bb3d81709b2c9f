//! Another tenant's resource does not exist, wherever its id stands; `access.rs` tries the paths of all operations.

use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_ids_in_a_body_lead_nowhere() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let document = ada.ready("secret.txt", "The secret of ducks is blubberwort.").await;
    let chat = ada.post("/chat", json!({ "message": "ducks?", "stream": false })).await.expect(200).body;
    let (document, conversation) = (document["id"].as_str().unwrap(), chat["conversation_id"].as_str().unwrap());
    let stranger = app.user("other", "ada", Role::Owner);
    let tricks = [
        ("/search", json!({ "query": "ducks", "document_ids": [document] }), 400),
        ("/chat", json!({ "message": "ducks", "conversation_id": conversation, "stream": false }), 404),
        ("/chat", json!({ "message": "What is the secret of ducks?", "stream": false }), 200),
    ];
    for (path, body, status) in tricks {
        let answer = stranger.post(path, body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(!answer.body.to_string().contains("blubberwort"), "{path}: {}", answer.body);
    }
    let page = ada.get("/documents?limit=1").await.expect(200).body;
    assert_eq!(page["next_cursor"], Value::Null);
    assert_eq!(ada.get(&format!("/documents/{document}")).await.expect(200).body["status"], "ready");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_users_conversation_is_not_found_in_the_same_tenant() {
    let app = TestApp::start().await;
    let chat = app.ada().post("/chat", json!({ "message": "ducks?", "stream": false })).await.expect(200).body;
    let path = format!("/conversations/{}", chat["conversation_id"].as_str().unwrap());
    let colleague = app.user("acme", "bob", Role::Owner);
    colleague.get(&path).await.expect(404);
    colleague.delete(&path).await.expect(404);
    let body = json!({ "message": "x", "conversation_id": chat["conversation_id"] });
    colleague.post("/chat", body).await.expect(404);
    app.ada().get(&path).await.expect(200);
    app.stop().await;
}
