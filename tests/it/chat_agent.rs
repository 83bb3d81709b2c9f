//! The loop over tools, with a model that says what it is told to.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::llm::{Request, ScriptedLlm, Turn};
use tests::{TestApp, markers};

use super::flow::{DUCKS, PUMPS};

/// An installation that asks the model, with further variables.
pub(crate) async fn installation(llm: &ScriptedLlm, more: &[(&str, &str)]) -> TestApp {
    let variables = llm.variables("scripted");
    let mut pairs: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    pairs.extend(more);
    TestApp::start_with(&pairs).await
}

/// What the model knows of the passage with these words: its number, as results show it.
pub(crate) fn number_of(request: &Request, words: &str) -> u64 {
    let results = request.results().concat();
    let before = &results[..results.find(words).unwrap_or_else(|| panic!("{words} was not found: {results}"))];
    *markers(before).last().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_two_hops_takes_two_calls_cites_both_documents_and_is_read_back_as_it_was_streamed() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[]).await;
    let ada = app.ada();
    let plants = ada.ready("plants.md", "# Plants\n\nThe plant in Ulm makes the pump P-77.\n").await;
    let pumps = ada.ready("errors.md", "# Errors\n\nThe pump P-77 shows E4821 when it runs dry.\n").await;
    llm.answer(|request| match request.rounds() {
        0 => Turn::call("search", &json!({ "query": "pump made in Ulm" })),
        // The second query needs what the first one found.
        1 => {
            assert!(request.results()[0].contains("P-77"));
            Turn::call("search", &json!({ "query": "P-77 error when dry", "collections": ["default"] }))
        }
        _ => {
            let (plant, error) = (number_of(request, "plant in Ulm"), number_of(request, "shows E4821"));
            Turn::pieces([
                "Ulm makes the P-77 🦆 [".to_owned(),
                format!("{plant}], which shows"),
                format!(" E4821 [{error}"),
                "].".to_owned(),
            ])
        }
    });
    let answer = ada.asks("/chat", json!({ "message": "What does the pump from Ulm show when it runs dry?" })).await;

    let names: Vec<_> = answer.events.iter().map(|event| event.name.as_str()).filter(|name| *name != "delta").collect();
    let calls = ["tool_call", "tool_result", "tool_call", "tool_result"];
    assert_eq!(names, [&["start"][..], &calls[..], &["citation", "citation", "usage", "done"][..]].concat());
    answer.assert_cited_from(&answer.sources());
    let cited: Vec<_> = answer.citations().iter().map(|citation| citation["document_id"].clone()).collect();
    assert_eq!(cited, [plants["id"].clone(), pumps["id"].clone()]);
    assert_eq!(answer.finish_reason(), "stop");
    assert!(answer.all("usage")[0]["input_tokens"].as_u64().unwrap() > 0);

    let stored = ada.get(&format!("/conversations/{}", answer.conversation())).await.expect(200).body;
    let message = &stored["messages"][1];
    assert_eq!(message["id"], answer.message());
    assert_eq!((&message["status"], &message["finish_reason"]), (&json!("complete"), &json!("stop")));
    assert_eq!(message["content"], answer.text());
    assert_eq!(message["citations"], json!(answer.citations()));
    assert_eq!(message["sources"], json!(answer.sources()));
    assert_eq!(message["usage"], answer.all("usage")[0]);
    assert_eq!(message["model"], answer.events[0].data["model"]);
    let calls = message["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    for (call, (made, result)) in calls.iter().zip(answer.all("tool_call").iter().zip(answer.all("tool_result"))) {
        assert_eq!((&call["id"], &call["name"], &call["arguments"]), (&made["id"], &made["name"], &made["arguments"]));
        let found: Vec<_> = result["sources"].as_array().unwrap().iter().map(|source| source["n"].clone()).collect();
        assert_eq!((&call["sources"], &call["error"]), (&json!(found), &Value::Null));
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_goes_back_to_the_model_which_may_do_better() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[]).await;
    let ada = app.ada();
    let ducks = ada.ready("ducks.md", DUCKS).await;
    let foreign = app.user("other", "eve", Role::Editor).ready("secret.md", "The secret is blubberwort.").await;
    let id = ducks["id"].as_str().unwrap().to_owned();
    for (name, arguments, said) in [
        ("search", json!({ "query": 7 }), "query"),
        ("search", json!({ "query": " " }), "1 to 8000"),
        ("search", json!({}), "query"),
        ("search", json!({ "query": "ducks", "limit": 5 }), "limit"),
        ("search", json!(["ducks"]), "an object"),
        ("search", json!({ "query": "ducks", "collections": ["secret"] }), "There are: default."),
        ("search", json!({ "query": "ducks", "collections": ["../x"] }), "collections"),
        ("read_document", json!({ "document_id": "duck" }), "document_id"),
        ("read_document", json!({ "document_id": foreign["id"] }), "no such document"),
        ("read_document", json!({ "document_id": "01J9ZQ3W6V8Y0ABCDEFGHJKMNP" }), "no such document"),
        ("read_document", json!({ "document_id": id, "start": 9, "end": 9 }), "greater"),
        ("list_documents", json!({ "cursor": "duck" }), "cursor"),
        ("list_documents", json!({ "collection": "other" }), "There are: default."),
        ("delete_documents", json!({}), "search, read_document, list_documents"),
    ] {
        llm.then(Turn::call(name, &arguments)).then(Turn::text("I see."));
        let answer = ada.asks("/chat", json!({ "message": "Ducks?" })).await;
        let error = answer.all("tool_result")[0]["error"].clone();
        assert!(error.as_str().is_some_and(|error| error.contains(said)), "{name} {arguments}: {error}");
        assert_eq!((answer.sources(), answer.finish_reason()), (vec![], "stop".to_owned()));
        assert_eq!(answer.all("tool_call")[0]["arguments"], arguments);
        let requests = llm.requests();
        assert!(requests.last().unwrap().results()[0].contains(said), "the model reads it, too");
    }
    // What is no JSON at all.
    llm.then(Turn::default().and_call_with("search", "{\"query\": \"ducks")).then(Turn::text("I see."));
    let answer = ada.asks("/chat", json!({ "message": "Ducks?" })).await;
    assert_eq!(answer.all("tool_call")[0]["arguments"], "{\"query\": \"ducks");
    assert!(answer.all("tool_result")[0]["error"].as_str().unwrap().starts_with("The arguments are wrong"));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_listed_and_read_where_the_question_may_look() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[]).await;
    let boss = app.user("acme", "boss", Role::Admin);
    boss.put("/collections/manuals", json!({ "name": "Manuals" })).await.expect(200);
    let ada = app.ada();
    let ducks = ada.ready("ducks.md", DUCKS).await;
    let made = ada.upload_with("pumps.md", PUMPS.as_bytes(), &[("collection", "manuals")]).await.expect(202).body;
    let pumps = ada.worked_off(made["document"]["id"].as_str().unwrap()).await;

    llm.then(Turn::call("list_documents", &json!({}))).then(Turn::text("Two."));
    ada.asks("/chat", json!({ "message": "What is there?" })).await;
    let listed = llm.requests().last().unwrap().results().concat();
    for document in [&ducks, &pumps] {
        assert!(listed.contains(document["id"].as_str().unwrap()), "{listed}");
    }

    // The question is limited to a collection, so the other does not exist for it.
    let asked = json!({ "message": "What is there?", "collections": ["manuals"] });
    llm.then(
        Turn::call("list_documents", &json!({})).and_call("read_document", &json!({ "document_id": ducks["id"] })),
    );
    llm.then(Turn::call("search", &json!({ "query": "What do ducks eat?" })));
    llm.then(Turn::call("search", &json!({ "query": "ducks", "collections": ["default"] }))).then(Turn::text("One."));
    let answer = ada.asks("/chat", asked).await;
    let listed = llm.requests().last().unwrap().results().concat();
    assert!(listed.contains("pumps.md") && !listed.contains("ducks.md"), "{listed}");
    let errors: Vec<_> = answer.all("tool_result").iter().map(|result| result["error"].is_string()).collect();
    assert_eq!(errors, [false, true, false, true]);
    assert!(!answer.sources().is_empty(), "the pumps are near to anything");
    assert!(answer.sources().iter().all(|source| source["document_id"] == pumps["id"]));

    // Read in parts, each of which can be cited.
    llm.then(Turn::call("read_document", &json!({ "document_id": ducks["id"], "start": 0, "end": 60 })));
    llm.then(Turn::call("read_document", &json!({ "document_id": ducks["id"], "start": 60 })));
    llm.then(Turn::text("Ducks are birds [1]. They fly [2]."));
    let answer = ada.asks("/chat", json!({ "message": "Tell me all." })).await;
    answer.assert_cited_from(&answer.sources());
    assert_eq!(answer.cited(), [1, 2]);
    let text: String = answer.sources().iter().map(|source| source["text"].as_str().unwrap()).collect();
    let path = format!("/documents/{}/text", ducks["id"].as_str().unwrap());
    assert_eq!(ada.get(&path).await.expect(200).body["text"], text);
    let results = llm.requests().last().unwrap().results().concat();
    assert!(results.contains("goes on at character 60") && results.contains("the end of the document"), "{results}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_one_turn_run_side_by_side_and_their_results_come_in_order() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[]).await;
    let ada = app.ada();
    ada.ready("ducks.md", DUCKS).await;
    ada.ready("pumps.md", PUMPS).await;
    let turn = Turn::call("search", &json!({ "query": "E4821" }))
        .and_call("search", &json!({ "query": 1 }))
        .and_call("list_documents", &json!({}))
        .and_call("search", &json!({ "query": "What do ducks eat?" }));
    llm.then(turn).then(Turn::text("Done."));
    let answer = ada.asks("/chat", json!({ "message": "All of it?" })).await;
    let ids = |name: &str| answer.all(name).iter().map(|event| event["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids("tool_call"), ids("tool_result"));
    let names: Vec<_> = answer.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names[1..9], [["tool_call"; 4], ["tool_result"; 4]].concat()[..]);
    let results = answer.all("tool_result");
    assert_eq!(results[0]["sources"][0]["filename"], "pumps.md");
    assert!(results[1]["error"].is_string());
    assert_eq!(results[2]["sources"], json!([]));
    // A passage that is found again has the number that it had.
    for source in results[3]["sources"].as_array().unwrap() {
        assert_eq!(answer.sources().iter().filter(|known| known["chunk_id"] == source["chunk_id"]).count(), 1);
    }

    // Twenty at once: more than are carried out.
    let mut turn = Turn::default();
    for _ in 0..20 {
        turn = turn.and_call("search", &json!({ "query": "ducks" }));
    }
    llm.then(turn).then(Turn::text("Done."));
    let answer = ada.asks("/chat", json!({ "message": "Again?" })).await;
    assert_eq!((answer.all("tool_call").len(), answer.all("tool_result").len()), (8, 8));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_ends_at_its_bounds() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[("CHAT_MAX_STEPS", "3"), ("CHAT_MAX_OUTPUT_TOKENS", "200")]).await;
    let ada = app.ada();
    ada.ready("ducks.md", DUCKS).await;

    // Steps: in the last one there is nothing to call, and what is called all the same is not carried out.
    llm.answer(|_| Turn::call("search", &json!({ "query": "ducks" })));
    let answer = ada.asks("/chat", json!({ "message": "Ducks?" })).await;
    assert_eq!((answer.all("tool_call").len(), answer.finish_reason().as_str()), (2, "length"));
    let requests = llm.requests();
    let tools: Vec<_> = requests.iter().map(|request| request.tools().len()).collect();
    assert_eq!(tools, [3, 3, 0]);
    assert!(requests.iter().all(|request| request.max_tokens() == Some(200)));
    assert!(requests[2].system().contains("Answer now") && !requests[1].system().contains("Answer now"));

    // A model that does not keep to its limit.
    llm.answer(|_| Turn::pieces(std::iter::repeat_n("duck ", 2_000)));
    let answer = ada.asks("/chat", json!({ "message": "Ducks?" })).await;
    assert_eq!(answer.finish_reason(), "length");
    assert!(answer.text().len() < 16 * 200 + 10, "{}", answer.text().len());

    // One that says that it reached its limit.
    llm.answer(|_| Turn::text("Ducks are").ending("length"));
    let answer = ada.asks("/chat", json!({ "message": "Ducks?" })).await;
    assert_eq!((answer.text().as_str(), answer.finish_reason().as_str()), ("Ducks are", "length"));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_ends_when_its_tokens_its_money_or_its_time_do() {
    let prices = ("LLM_PRICES", r#"{"scripted": {"input": 1000, "output": 2000}}"#);
    for (variables, reason) in [
        (vec![("CHAT_MAX_TOKENS", "6000"), ("CHAT_MAX_STEPS", "50")], "length"),
        (vec![prices, ("CHAT_MAX_CENTS", "600"), ("CHAT_MAX_STEPS", "50")], "budget"),
        (vec![("CHAT_SECONDS", "2"), ("CHAT_MAX_STEPS", "50")], "length"),
    ] {
        let llm = ScriptedLlm::start().await;
        let app = installation(&llm, &variables).await;
        let ada = app.ada();
        ada.ready("ducks.md", DUCKS).await;
        // It goes on for as long as it may.
        llm.answer(|request| {
            let words = Turn::text("Looking. ").usage(900, 100).and_pause(Duration::from_millis(100));
            if request.tools().is_empty() { words } else { words.and_call("search", &json!({ "query": "ducks" })) }
        });
        let started = Instant::now();
        let answer = ada.asks("/chat", json!({ "message": "Ducks?" })).await;
        assert!(started.elapsed() < Duration::from_secs(10), "{variables:?}");
        let turns = llm.asked();
        assert!((2..20).contains(&turns), "{turns} turns: {variables:?}");
        // The last turn may say what was found, and so complete the answer.
        let last = llm.requests().pop().unwrap();
        let expected = if last.tools().is_empty() { "stop" } else { reason };
        assert_eq!(answer.finish_reason(), expected, "{variables:?}");
        assert_eq!(answer.all("usage")[0]["output_tokens"], 100 * turns);
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_hangs_ends_with_the_time_of_the_answer() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[("CHAT_SECONDS", "1")]).await;
    llm.then(Turn::pieces(["Ducks ", "are "]).and_hang());
    let answer = app.ada().asks("/chat", json!({ "message": "Ducks?" })).await;
    assert_eq!((answer.text().as_str(), answer.finish_reason().as_str()), ("Ducks are ", "length"));
    assert!(llm.quiet_within(Duration::from_secs(5)).await, "its connection is closed");
    app.stop().await;
}
