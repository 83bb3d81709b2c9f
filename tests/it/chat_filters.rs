//! Questions that are limited by what is kept beside the documents, in every dialect and by every tool.

use reqwest::Method;
use serde_json::{Value, json};
use tests::User;
use tests::llm::{ScriptedLlm, Turn};

use super::chat_agent::installation;

/// Two documents that say something of ducks, and when.
async fn two_years(ada: &User<'_>) -> [Value; 2] {
    let mut documents = Vec::new();
    for (year, text) in [(2024, "Ducks eat snails."), (2026, "Ducks eat slugs.")] {
        let metadata = json!({ "year": year, "tags": ["birds"] }).to_string();
        let name = format!("ducks-{year}.txt");
        let made = ada.upload_with(&name, text.as_bytes(), &[("metadata", &metadata)]).await.expect(202).body;
        documents.push(ada.worked_off(made["document"]["id"].as_str().unwrap()).await);
    }
    documents.try_into().unwrap()
}

fn since(year: i32) -> Value {
    json!({ "type": "gte", "key": "year", "value": year })
}

/// The documents of some sources.
fn documents(sources: &[Value]) -> Vec<&str> {
    sources.iter().map(|source| source["filename"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_from_documents_that_pass_its_filters() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[]).await;
    let ada = app.ada();
    let [_, new] = two_years(&ada).await;
    llm.answer(|request| match request.rounds() {
        0 => Turn::call("search", &json!({ "query": "What do ducks eat?" })),
        _ => Turn::text("Slugs [1]."),
    });
    let asked = json!({ "message": "What do ducks eat?", "filters": since(2025) });
    let answer = ada.asks("/chat", asked).await;
    assert_eq!(documents(&answer.sources()), ["ducks-2026.txt"]);
    answer.assert_cited_from(&answer.sources());
    let path = format!("/conversations/{}", answer.conversation());
    let stored = ada.get(&path).await.expect(200).body;
    assert_eq!(stored["messages"][0]["filters"], since(2025));
    assert_eq!(stored["messages"][1]["filters"], Value::Null);

    // Made anew, it is limited as it was, unless something else is said.
    let again = format!("{path}/regenerate");
    assert_eq!(documents(&ada.asks(&again, json!({})).await.sources()), ["ducks-2026.txt"]);
    let earlier = json!({ "filters": { "type": "lt", "key": "year", "value": 2025 } });
    assert_eq!(documents(&ada.asks(&again, earlier).await.sources()), ["ducks-2024.txt"]);
    let edited = json!({ "message": "And now?" });
    assert_eq!(ada.asks(&format!("{path}/edit"), edited).await.sources().len(), 2);

    // What was found before and does not pass is not cited any more.
    let all = ada.asks("/chat", json!({ "message": "What do ducks eat?" })).await;
    assert_eq!(all.sources().len(), 2);
    llm.answer(|_| Turn::text("Snails or slugs [1][2]."));
    let more = json!({ "message": "Sure?", "conversation_id": all.conversation(), "filters": since(2025) });
    let passing = all.sources().into_iter().find(|source| source["document_id"] == new["id"]).unwrap();
    assert_eq!(ada.asks("/chat", more).await.cited(), [passing["n"].as_u64().unwrap()]);

    let other = json!({ "id": "chat", "filters": since(2025),
        "messages": [{ "id": "1", "role": "user", "parts": [{ "type": "text", "text": "Ducks?" }] }] });
    llm.then(Turn::call("search", &json!({ "query": "ducks" }))).then(Turn::text("Slugs [1]."));
    let stream = ada.send(Method::POST, "/chat/ai-sdk", "application/json", other.to_string().into_bytes()).await;
    let stream = stream.text().await.unwrap();
    assert!(stream.contains("ducks-2026.txt") && !stream.contains("ducks-2024.txt"), "{stream}");
    let other =
        json!({ "model": "ragline", "messages": [{ "role": "user", "content": "Ducks?" }], "filters": since(2027) });
    llm.then(Turn::call("search", &json!({ "query": "ducks" }))).then(Turn::text("Nothing."));
    let answer = ada.post("/openai/v1/chat/completions", other).await.expect(200).body;
    assert_eq!(answer["choices"][0]["message"]["content"], "Nothing.");
    assert!(llm.requests().last().unwrap().results()[0].contains("Nothing was found"));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_keeps_to_the_filters_and_a_search_may_have_its_own() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[]).await;
    let ada = app.ada();
    let [old, _] = two_years(&ada).await;
    let search = |filters: Value| Turn::call("search", &json!({ "query": "ducks", "filters": filters }));
    let limited = json!({ "message": "Ducks?", "filters": since(2025) });

    llm.then(search(json!({ "type": "lt", "key": "year", "value": 2025 }))).then(Turn::text("Snails [1]."));
    let answer = ada.asks("/chat", json!({ "message": "Ducks?" })).await;
    assert_eq!(documents(&answer.sources()), ["ducks-2024.txt"]);

    llm.then(search(json!({ "type": "in", "key": "tags", "value": ["birds"] }))).then(Turn::text("Slugs [1]."));
    assert_eq!(documents(&ada.asks("/chat", limited.clone()).await.sources()), ["ducks-2026.txt"]);
    llm.then(search(json!({ "type": "lt", "key": "year", "value": 2025 }))).then(Turn::text("Nothing."));
    assert_eq!(ada.asks("/chat", limited.clone()).await.sources(), Vec::<Value>::new());

    let read = Turn::call("read_document", &json!({ "document_id": old["id"] })).and_call("list_documents", &json!({}));
    llm.then(read).then(Turn::text("One."));
    let answer = ada.asks("/chat", limited).await;
    assert!(answer.all("tool_result")[0]["error"].as_str().unwrap().contains("no such document"));
    let requests = llm.requests();
    let listed = requests.last().unwrap().results()[1];
    assert!(listed.contains("ducks-2026.txt") && !listed.contains("ducks-2024.txt"), "{listed}");
    assert!(listed.contains("\"year\":2026"), "a model learns here by what it may filter: {listed}");

    for (filters, said) in [
        (json!({ "type": "like", "key": "year", "value": 1 }), "filters/type"),
        (json!({ "type": "and", "filters": [{ "type": "eq", "key": "year" }] }), "filters/filters/0/value"),
        (json!(["year"]), "filters"),
    ] {
        llm.then(search(filters)).then(Turn::text("I see."));
        let answer = ada.asks("/chat", json!({ "message": "Ducks?" })).await;
        let error = answer.all("tool_result")[0]["error"].as_str().unwrap().to_owned();
        assert!(error.contains(said), "{error}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_that_cannot_be_read_are_named_and_nothing_is_stored() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[]).await;
    let ada = app.ada();
    let long: Vec<Value> = (0..40).map(|n| json!(format!("{n:0500}"))).collect();
    for (filters, pointer) in [
        (json!({ "type": "like", "key": "year", "value": 1 }), "/filters/type"),
        (json!({ "type": "gt", "key": "year", "value": true }), "/filters/value"),
        (json!("year"), "/filters"),
        (json!({ "type": "in", "key": "year", "value": long }), "/filters"),
    ] {
        let chat = json!({ "id": "1", "filters": filters,
            "messages": [{ "id": "1", "role": "user", "parts": [{ "type": "text", "text": "Ducks?" }] }] });
        let completion =
            json!({ "model": "ragline", "messages": [{ "role": "user", "content": "Ducks?" }], "filters": filters });
        for (path, body) in [("/chat", json!({ "message": "Ducks?", "filters": filters })), ("/chat/ai-sdk", chat)] {
            assert_eq!(ada.post(path, body).await.expect(400).body["errors"][0]["pointer"], pointer, "{path}");
        }
        let refused = ada.post("/openai/v1/chat/completions", completion).await.expect(400).body;
        assert!(refused["error"]["param"].as_str().unwrap().starts_with("filters"), "{refused}");
    }
    assert_eq!(ada.get("/conversations").await.expect(200).body["data"], json!([]));
    assert_eq!(llm.requests().len(), 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_model_writes_into_a_call_is_stored_and_read_back() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[]).await;
    let ada = app.ada();
    let deep = (0..60).fold(json!({ "": 1e300 }), |inner, _| json!([inner]));
    let arguments = json!({ "query": "ducks", "deep": deep, "large": 1e300, "small": 5e-324, "whole": u64::MAX });
    llm.then(Turn::call("search", &arguments)).then(Turn::text("I see."));
    let answer = ada.asks("/chat", json!({ "message": "Ducks?" })).await;
    assert_eq!(answer.finish_reason(), "stop");
    let stored = ada.get(&format!("/conversations/{}", answer.conversation())).await.expect(200).body;
    assert_eq!(stored["messages"][1]["tool_calls"][0]["arguments"], arguments);
    app.stop().await;
}
