//! What was stored is there after a restart.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Instance, TestApp};

use crate::flow::DUCKS;

/// The longest that an end may take.
const LIMIT: Duration = Duration::from_secs(10);

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

/// The processes that a process started.
fn children_of(process: u32) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    let children = threads.map(|thread| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    children.flat_map(|children| children.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_leaves_no_redis_server_behind() {
    // No other system offers it.
    if !cfg!(target_os = "linux") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut instance = Instance::start(env!("CARGO_BIN_EXE_instance"), folder.path(), &[]).await;
    // Empty once a process has ended, even if nobody has asked how.
    let command = |process: &String| std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let children = children_of(instance.pid());
    assert!(children.iter().any(|child| command(child).contains("redis-server")), "{children:?}");
    instance.kill().await;
    let killed = Instant::now();
    while children.iter().any(|child| !command(child).is_empty()) {
        assert!(killed.elapsed() < LIMIT, "{children:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
