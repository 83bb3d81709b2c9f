//! What was stored is there after a restart.

use serde_json::json;
use tests::TestApp;

use crate::flow::DUCKS;

#[tokio::test(flavor = "multi_thread")]
async fn documents_conversations_and_vectors_outlive_the_process() {
    let app = TestApp::start().await;
    let document = app.ada().ready("ducks.md", DUCKS).await;
    let chat =
        app.ada().post("/chat", json!({ "message": "What do ducks eat?", "stream": false })).await.expect(200).body;

    let app = app.restart().await;
    let ada = app.ada();
    let path = format!("/documents/{}", document["id"].as_str().unwrap());
    assert_eq!(ada.get(&path).await.expect(200).body, document);
    assert_eq!(ada.search("what do ducks eat?").await[0]["document_id"], document["id"]);
    let path = format!("/conversations/{}", chat["conversation_id"].as_str().unwrap());
    assert_eq!(ada.get(&path).await.expect(200).body["messages"][1]["content"], chat["answer"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_before_the_end_is_worked_off_after_it() {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(app.ada().upload(&format!("{number}.md"), format!("{DUCKS}\nCopy {number}.")).await);
    }
    let app = app.restart().await;
    for id in ids {
        let document = app.ada().worked_off(&id).await;
        assert_eq!(document["status"], "ready", "{document}");
        assert_eq!(app.ada().chunks(&id).await.len(), document["chunk_count"].as_u64().unwrap() as usize);
    }
    app.stop().await;
}
