//! A document goes in, a cited answer comes out.

use serde_json::{Value, json};
use tests::{TestApp, User, events};

pub(crate) const DUCKS: &str = "# Ducks\n\nDucks are birds of the family Anatidae.\n\n## Feeding\n\nDucks eat grasses, aquatic plants and small fish. Diving ducks forage deep underwater.\n\n## Flight\n\nMost ducks fly well. A mallard reaches ninety kilometres an hour.\n";
pub(crate) const PUMPS: &str =
    "# Pump manual\n\nError E4821 means that the pump runs dry. Fill the tank before the pump is started again.\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_document_goes_in_and_its_passages_are_found_where_they_stand() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let ducks = ada.ready("ducks.md", DUCKS).await;
    ada.ready("pumps.md", PUMPS).await;
    assert_eq!(ducks["chunk_count"], 3);
    let stages: Vec<_> = ducks["stages"].as_array().unwrap().iter().map(|stage| stage["name"].clone()).collect();
    assert_eq!(stages, ["extracting", "embedding", "indexing"]);

    let found = ada.search("what do ducks eat?").await;
    assert_eq!(found[0]["document_id"], ducks["id"]);
    assert_eq!(found[0]["filename"], "ducks.md");
    assert_eq!(found[0]["heading"], "Ducks › Feeding");
    assert!(found[0]["text"].as_str().unwrap().contains("Ducks eat grasses, aquatic plants and small fish."));

    let chunks = ada.chunks(ducks["id"].as_str().unwrap()).await;
    let chunk = chunks.iter().find(|chunk| chunk["id"] == found[0]["chunk_id"]).expect("the passage is listed");
    assert_eq!(chunk["text"], found[0]["text"]);
    assert_eq!(chunk["span"], found[0]["span"]);
    let span = |chunk: &Value| (chunk["span"]["start"].as_u64().unwrap(), chunk["span"]["end"].as_u64().unwrap());
    for chunk in &chunks {
        let (start, end) = span(chunk);
        assert_eq!((end - start) as usize, chunk["text"].as_str().unwrap().chars().count());
    }
    assert!(chunks.windows(2).all(|pair| span(&pair[0]).1 < span(&pair[1]).0), "in order, none over another");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hybrid_search_heeds_words_and_semantic_search_does_not() {
    let app = TestApp::start().await;
    let ada = app.ada();
    ada.ready("ducks.md", DUCKS).await;
    ada.ready("pumps.md", PUMPS).await;
    for mode in ["hybrid", "semantic"] {
        let body = json!({ "query": "E4821", "mode": mode, "limit": 1 });
        let answer = ada.post("/search", body).await.expect(200).body;
        assert_eq!(answer["data"].as_array().unwrap().len(), 1);
        assert_eq!(answer["data"][0]["filename"], "pumps.md", "{mode}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_can_be_narrowed_to_collections_and_documents() {
    let app = TestApp::start().await;
    let admin = app.user("acme", "boss", shared::tenancy::Role::Admin);
    let put = admin.call(reqwest::Method::PUT, "/collections/manuals", &json!({ "name": "Manuals" })).await.expect(200);
    assert_eq!(put.body["access"], "tenant");
    let ada = app.ada();
    let ducks = ada.ready("ducks.md", DUCKS).await;
    let uploaded = ada.upload_with("pumps.md", PUMPS.as_bytes(), &[("collection", "manuals")]).await.expect(202).body;
    let pumps = ada.worked_off(uploaded["document"]["id"].as_str().unwrap()).await;
    assert_eq!(pumps["collection"], "manuals");

    let names = |body: Value| async {
        let found = ada.post("/search", body).await.expect(200).body;
        let mut names: Vec<String> =
            found["data"].as_array().unwrap().iter().map(|p| p["filename"].as_str().unwrap().to_owned()).collect();
        names.dedup();
        names
    };
    let query = "ducks and pumps";
    assert_eq!(names(json!({ "query": query, "collections": ["manuals"] })).await, ["pumps.md"]);
    assert_eq!(names(json!({ "query": query, "document_ids": [ducks["id"]] })).await, ["ducks.md"]);
    assert!(
        names(json!({ "query": query, "collections": ["manuals"], "document_ids": [ducks["id"]] })).await.is_empty()
    );
    let listed = ada.get("/collections").await.expect(200).body;
    let counts: Vec<_> =
        listed["data"].as_array().unwrap().iter().map(|c| (c["id"].clone(), c["document_count"].clone())).collect();
    assert_eq!(counts, [(json!("default"), json!(1)), (json!("manuals"), json!(1))]);
    let only = ada.get("/documents?collection=manuals").await.expect(200).body;
    assert_eq!(only["data"].as_array().unwrap().len(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_streamed_cited_stored_and_read_back_as_it_was_streamed() {
    let app = TestApp::start().await;
    let ada = app.ada();
    ada.ready("ducks.md", DUCKS).await;
    ada.ready("pumps.md", PUMPS).await;
    let events = chat(&ada, json!({ "message": "What does error E4821 mean?" })).await;

    let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names[..3], ["start", "tool_call", "tool_result"]);
    assert_eq!(names[names.len() - 2..], ["usage", "done"]);
    let ids: Vec<usize> = events.iter().map(|event| event.id.parse().unwrap()).collect();
    assert_eq!(ids, (1..=events.len()).collect::<Vec<_>>());
    assert_eq!(events.last().unwrap().data["finish_reason"], "stop");

    let text: String =
        events.iter().filter(|e| e.name == "delta").map(|e| e.data["text"].as_str().unwrap().to_owned()).collect();
    assert!(text.starts_with("Error E4821 means that the pump runs dry. ["), "{text}");
    let sources = events[2].data["sources"].as_array().unwrap();
    let citations: Vec<&Value> = events.iter().filter(|e| e.name == "citation").map(|e| &e.data).collect();
    assert!(!citations.is_empty());
    let units: Vec<u16> = text.encode_utf16().collect();
    for citation in &citations {
        let place = citation["start"].as_u64().unwrap() as usize..citation["end"].as_u64().unwrap() as usize;
        assert_eq!(String::from_utf16(&units[place]).unwrap(), format!("[{}]", citation["n"]));
        let source = sources.iter().find(|source| source["n"] == citation["n"]).expect("the marker names a source");
        assert_eq!(source["chunk_id"], citation["chunk_id"]);
    }
    let first = sources.iter().find(|source| source["n"] == citations[0]["n"]).unwrap();
    assert_eq!(first["filename"], "pumps.md");

    let id = events[0].data["conversation_id"].as_str().unwrap();
    let read = ada.get(&format!("/conversations/{id}")).await.expect(200).body;
    assert_eq!(read["title"], "What does error E4821 mean?");
    let [question, answer] = read["messages"].as_array().unwrap().as_slice() else { panic!("{read}") };
    assert_eq!(question["role"], "user");
    assert_eq!(answer["content"], text);
    assert_eq!(answer["id"], events[0].data["message_id"]);
    assert_eq!(answer["citations"].as_array().unwrap().iter().collect::<Vec<_>>(), citations);
    assert_eq!(answer["sources"].as_array().unwrap(), sources);

    let body = json!({ "message": "What do ducks eat?", "conversation_id": id, "stream": false });
    let whole = ada.post("/chat", body).await.expect(200).body;
    assert_eq!(whole["conversation_id"], id);
    assert!(whole["answer"].as_str().unwrap().contains("Ducks eat grasses"), "{whole}");
    let read = ada.get(&format!("/conversations/{id}")).await.expect(200).body;
    assert_eq!(read["messages"].as_array().unwrap().len(), 4);
    assert_eq!(read["messages"][3]["citations"], whole["citations"]);

    assert_eq!(ada.get("/conversations").await.expect(200).body["data"][0]["id"], id);
    ada.delete(&format!("/conversations/{id}")).await.expect(204);
    ada.get(&format!("/conversations/{id}")).await.expect(404);
    assert_eq!(ada.get("/conversations").await.expect(200).body["data"], json!([]));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_the_documents_do_not_answer_is_answered_with_that() {
    let app = TestApp::start().await;
    let ada = app.ada();
    ada.ready("ducks.md", DUCKS).await;
    let body = json!({ "message": "Which minister signed the treaty?", "stream": false });
    let answer = ada.post("/chat", body).await.expect(200).body;
    assert_eq!(answer["answer"], "The documents say nothing about this.");
    assert_eq!(answer["citations"], json!([]));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_are_the_same_document_and_changes_are_shown() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let first = ada.ready("ducks.md", DUCKS).await;
    let again = ada.upload_with("other name.md", DUCKS.as_bytes(), &[]).await.expect(200).body;
    assert_eq!(again["duplicate"], true);
    assert_eq!(again["document"]["id"], first["id"]);

    let path = format!("/documents/{}", first["id"].as_str().unwrap());
    let change = json!({ "filename": "birds.md", "metadata": { "year": 2026, "draft": false } });
    let changed = ada.call(reqwest::Method::PATCH, &path, &change).await.expect(200).body;
    assert_eq!(changed["filename"], "birds.md");
    assert_eq!(changed["metadata"], change["metadata"]);
    assert_eq!(changed["status"], "ready");
    assert_eq!(ada.search("ducks").await[0]["filename"], "birds.md");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages_newest_first() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(ada.upload(&format!("{number}.txt"), format!("Text number {number}.")).await);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    ids.reverse();
    let (mut listed, mut path) = (Vec::new(), "/documents?limit=2".to_owned());
    loop {
        let page = ada.get(&path).await.expect(200).body;
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= 2);
        listed.extend(data.iter().map(|document| document["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/documents?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(listed, ids);
    for id in &ids {
        ada.worked_off(id).await;
    }
    for filter in ["status=ready", "collection=default", "status=ready&collection=default"] {
        let all = ada.get(&format!("/documents?{filter}&limit=5")).await.expect(200).body;
        assert_eq!(all["data"].as_array().unwrap().len(), 5, "{filter}");
        assert_eq!(all["next_cursor"], Value::Null, "{filter}");
        let first = ada.get(&format!("/documents?{filter}&limit=3")).await.expect(200).body;
        let cursor = first["next_cursor"].as_str().expect("there is more");
        let rest = ada.get(&format!("/documents?{filter}&limit=3&cursor={cursor}")).await.expect(200).body;
        let pages = [&first, &rest].map(|page| page["data"].as_array().unwrap().clone()).concat();
        assert_eq!(&pages, all["data"].as_array().unwrap(), "{filter}");
    }
    assert_eq!(ada.get("/documents?status=failed").await.expect(200).body["data"], json!([]));
    app.stop().await;
}

/// The events of a streamed answer.
async fn chat(user: &User<'_>, body: Value) -> Vec<tests::Event> {
    let response = user.send(reqwest::Method::POST, "/chat", "application/json", body.to_string().into_bytes()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    events(&response.text().await.unwrap())
}
