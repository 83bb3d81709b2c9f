//! Conversations: what is kept, what a model is told of it, and what can be done anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::llm::{ScriptedLlm, Turn};
use tests::{TestApp, User};
use tokio::sync::Semaphore;

use super::chat_agent::{installation, number_of};
use super::flow::{DUCKS, PUMPS};

async fn read(user: &User<'_>, conversation: &str) -> Value {
    user.get(&format!("/conversations/{conversation}?limit=100")).await.expect(200).body
}

fn texts(conversation: &Value) -> Vec<&str> {
    conversation["messages"].as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_mean_one_passage_each_as_long_as_the_conversation_lasts() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[]).await;
    let ada = app.ada();
    ada.ready("ducks.md", DUCKS).await;
    let pumps = ada.ready("pumps.md", PUMPS).await;
    llm.then(Turn::call("search", &json!({ "query": "E4821" })));
    llm.then(Turn::text("The pump runs dry [1]."));
    let first = ada.asks("/chat", json!({ "message": "What does E4821 mean?" })).await;
    assert_eq!(first.sources()[0]["filename"], "pumps.md");
    let known = first.sources();

    // A later answer may cite the same without another search.
    let more = |message: &str| json!({ "message": message, "conversation_id": first.conversation() });
    llm.then(Turn::text("As I said [1], it runs dry [99]."));
    let second = ada.asks("/chat", more("Are you sure?")).await;
    assert_eq!(second.text(), "As I said [1], it runs dry .");
    second.assert_cited_from(&known);
    let asked = llm.requests().pop().unwrap();
    assert!(asked.messages()[1]["content"].as_str().unwrap().contains("[1] pumps.md"), "it is shown what it cited");
    assert!(asked.messages().iter().all(|message| message["role"] != "tool"), "results are not repeated");
    assert_eq!(asked.question(), "Are you sure?");

    // What is found again keeps its number, and what is new gets one behind all before.
    llm.then(Turn::call("search", &json!({ "query": "ducks and E4821" })));
    llm.answer(|request| Turn::text(&format!("Dry [1], and fish [{}].", number_of(request, "small fish"))));
    let third = ada.asks("/chat", more("And ducks?")).await;
    let all = [known.clone(), third.sources()].concat();
    third.assert_cited_from(&all);
    for source in third.sources() {
        let same: Vec<_> = known.iter().filter(|known| known["chunk_id"] == source["chunk_id"]).collect();
        assert!(same.iter().all(|same| **same == source), "{source}");
        let number = source["n"].as_u64().unwrap();
        assert!(!same.is_empty() || number > known.len() as u64, "{source}");
    }

    // A document that is gone cannot be cited any more.
    ada.delete(&format!("/documents/{}", pumps["id"].as_str().unwrap())).await.expect(202);
    llm.answer(|_| Turn::text("It runs dry [1]."));
    let fourth = ada.asks("/chat", more("Again?")).await;
    assert_eq!((fourth.text().as_str(), fourth.citations()), ("It runs dry .", vec![]));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_told_as_much_of_the_conversation_as_its_tokens_allow() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[("CHAT_HISTORY_TOKENS", "60")]).await;
    let ada = app.ada();
    llm.answer(|request| Turn::text(&format!("Answer to {}", request.question())));
    let first = ada.asks("/chat", json!({ "message": "Question number 0?" })).await;
    for number in 1..8 {
        let body = json!({ "message": format!("Question number {number}?"), "conversation_id": first.conversation() });
        ada.asks("/chat", body).await;
    }
    let asked = llm.requests().pop().unwrap();
    let messages: Vec<_> = asked.messages()[1..].iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(messages.last(), Some(&"Question number 7?"));
    let shown = messages.len() / 2;
    assert!((2..7).contains(&shown), "{messages:?}");
    for (place, pair) in messages[..2 * shown].chunks(2).enumerate() {
        let question = format!("Question number {}?", 7 - shown + place);
        assert_eq!(pair, [question.clone(), format!("Answer to {question}")]);
    }
    assert_eq!(texts(&read(&ada, &first.conversation()).await).len(), 16, "all of it is kept");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_answer_is_made_anew_and_the_last_question_changed() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[]).await;
    let ada = app.ada();
    llm.then(Turn::text("One.")).then(Turn::text("Two."));
    let first = ada.asks("/chat", json!({ "message": "First?" })).await;
    let id = first.conversation();
    let second = ada.asks("/chat", json!({ "message": "Second?", "conversation_id": id })).await;

    let again = format!("/conversations/{id}/regenerate");
    llm.then(Turn::text("Two, better."));
    let third = ada.asks(&again, json!({ "message_id": second.message() })).await;
    assert_ne!(third.message(), second.message());
    assert_eq!(texts(&read(&ada, &id).await), ["First?", "One.", "Second?", "Two, better."]);
    let asked = llm.requests().pop().unwrap();
    let told: Vec<_> = asked.messages()[1..].iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(told, ["First?", "One.", "Second?"], "not the answer that is replaced");

    // What is not the last is not touched.
    for message in [first.message(), second.message()] {
        let refused = ada.post(&again, json!({ "message_id": message, "stream": false })).await.expect(409);
        assert_eq!(refused.body["code"], "conflict");
    }
    llm.then(Turn::text("Three."));
    let edited = ada.asks(&format!("/conversations/{id}/edit"), json!({ "message": "Third?" })).await;
    assert_eq!(texts(&read(&ada, &id).await), ["First?", "One.", "Third?", "Three."]);
    assert_eq!(edited.conversation(), id);
    llm.then(Turn::text("Three, better."));
    let whole = ada.post(&again, json!({ "stream": false })).await.expect(200).body;
    assert_eq!((&whole["answer"], &whole["conversation_id"]), (&json!("Three, better."), &json!(id)));
    assert_eq!(texts(&read(&ada, &id).await), ["First?", "One.", "Third?", "Three, better."]);

    // Nobody else's.
    let eve = app.user("acme", "eve", Role::Owner);
    eve.post(&again, json!({})).await.expect(404);
    eve.post(&format!("/conversations/{id}/edit"), json!({ "message": "Mine?" })).await.expect(404);
    for (body, pointer) in [(json!({ "message": " " }), "/message"), (json!({ "message": "a", "x": 1 }), "/x")] {
        let refused = ada.post(&format!("/conversations/{id}/edit"), body).await.expect(400);
        assert_eq!(refused.body["errors"][0]["pointer"], pointer);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_made_anew_looks_where_its_question_was_to_look() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[]).await;
    let boss = app.user("acme", "boss", Role::Admin);
    boss.put("/collections/manuals", json!({ "name": "Manuals" })).await.expect(200);
    let ada = app.ada();
    ada.ready("ducks.md", DUCKS).await;
    llm.answer(|request| match request.rounds() {
        0 => Turn::call("search", &json!({ "query": "ducks" })),
        _ => Turn::text("I looked."),
    });
    let first = ada.asks("/chat", json!({ "message": "Ducks?", "collections": ["manuals"] })).await;
    assert_eq!(first.sources(), Vec::<Value>::new());
    let again = format!("/conversations/{}/regenerate", first.conversation());
    assert_eq!(ada.asks(&again, json!({})).await.sources(), Vec::<Value>::new());
    assert!(!ada.asks(&again, json!({ "collections": ["default"] })).await.sources().is_empty());
    // A collection that is gone leaves nothing to look at, and not everything.
    boss.delete("/collections/manuals").await.expect(202);
    assert_eq!(ada.asks(&again, json!({})).await.sources(), Vec::<Value>::new());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_stored_while_it_is_made_and_marked_as_partial() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[]).await;
    let ada = app.ada();
    ada.ready("ducks.md", DUCKS).await;
    let gate = Arc::new(Semaphore::new(0));
    llm.then(Turn::call("search", &json!({ "query": "ducks" })));
    llm.then(
        Turn::text("Ducks swim [1]")
            .and_pause(Duration::from_secs(4))
            .and_text(" and")
            .and_wait(&gate)
            .and_text(" fly."),
    );
    let asking = ada.asks("/chat", json!({ "message": "Ducks?" }));
    let watching = async {
        let started = Instant::now();
        let mut seen = (false, false);
        loop {
            let list = ada.get("/conversations").await.expect(200).body;
            if let Some(id) = list["data"][0]["id"].as_str() {
                let read = read(&ada, id).await;
                let answer = &read["messages"][1];
                assert_eq!((&answer["status"], &answer["finish_reason"]), (&json!("partial"), &Value::Null));
                // Though nothing happens at that time.
                seen.0 |= answer["content"] == "Ducks swim [1]" && !answer["sources"].as_array().unwrap().is_empty();
                seen.1 |= answer["content"] == "Ducks swim [1] and";
            }
            if seen == (true, true) {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{seen:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        gate.add_permits(1);
    };
    let (answer, ()) = tokio::join!(asking, watching);
    let stored = read(&ada, &answer.conversation()).await;
    assert_eq!(stored["messages"][1]["status"], "complete");
    assert_eq!(stored["messages"][1]["content"], "Ducks swim [1] and fly.");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_at_the_same_time_are_all_answered_and_stand_in_order() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[]).await;
    let ada = app.ada();
    ada.ready("ducks.md", DUCKS).await;
    llm.answer(|request| match request.rounds() {
        0 => Turn::call("search", &json!({ "query": "ducks" })),
        _ => Turn::text(&format!("Answer to {} [{}]", request.question(), number_of(request, "Ducks are birds"))),
    });
    let first = ada.asks("/chat", json!({ "message": "Question 0?" })).await;
    let ask = |number: usize| {
        let body = json!({ "message": format!("Question {number}?"), "conversation_id": first.conversation() });
        ada.asks("/chat", body)
    };
    let answers = tokio::join!(ask(1), ask(2), ask(3));
    let stored = read(&ada, &first.conversation()).await;
    let messages = texts(&stored);
    assert_eq!(messages.len(), 8);
    for pair in messages.chunks(2) {
        assert!(pair[1].starts_with(&format!("Answer to {}", pair[0])), "{messages:?}");
    }
    // No number means two passages.
    let mut sources = first.sources();
    for answer in [&answers.0, &answers.1, &answers.2] {
        for source in answer.sources() {
            let same = sources.iter().find(|known| known["n"] == source["n"]);
            assert!(same.is_none_or(|same| same["chunk_id"] == source["chunk_id"]), "{source}");
            sources.push(source);
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_while_it_was_answered_does_not_come_back() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[]).await;
    let ada = app.ada();
    for replace in [false, true] {
        let gate = Arc::new(Semaphore::new(0));
        llm.then(Turn::text("Ducks").and_wait(&gate).and_text(" swim."));
        let asking = ada.asks("/chat", json!({ "message": "Ducks?" }));
        let deleting = async {
            let id = loop {
                let list = ada.get("/conversations").await.expect(200).body;
                if let Some(id) = list["data"][0]["id"].as_str() {
                    break id.to_owned();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            if replace {
                llm.then(Turn::text("They fly."));
                ada.asks(&format!("/conversations/{id}/regenerate"), json!({})).await;
            } else {
                ada.delete(&format!("/conversations/{id}")).await.expect(204);
            }
            gate.add_permits(1);
            id
        };
        let (answer, id) = tokio::join!(asking, deleting);
        assert_eq!((answer.conversation(), answer.text().as_str()), (id.clone(), "Ducks swim."));
        if replace {
            assert_eq!(texts(&read(&ada, &id).await), ["Ducks?", "They fly."]);
        } else {
            ada.get(&format!("/conversations/{id}")).await.expect(404);
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_given_another_title() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let asked = ada.post("/chat", json!({ "message": "What  do\nducks eat?", "stream": false })).await.expect(200).body;
    let path = format!("/conversations/{}", asked["conversation_id"].as_str().unwrap());
    assert_eq!(ada.get(&path).await.expect(200).body["title"], "What do ducks eat?");
    let changed = ada.patch(&path, json!({ "title": "Food 🦆" })).await.expect(200).body;
    assert_eq!((&changed["title"], &changed["id"]), (&json!("Food 🦆"), &asked["conversation_id"]));
    assert_eq!(ada.get("/conversations").await.expect(200).body["data"][0]["title"], "Food 🦆");
    for (body, pointer) in [
        (json!({ "title": "  " }), "/title"),
        (json!({ "title": "x".repeat(201) }), "/title"),
        (json!({ "title": "x", "id": "y" }), "/id"),
    ] {
        assert_eq!(ada.patch(&path, body).await.expect(400).body["errors"][0]["pointer"], pointer);
    }
    app.user("acme", "eve", Role::Owner).patch(&path, json!({ "title": "Mine" })).await.expect(404);
    ada.delete(&path).await.expect(204);
    ada.patch(&path, json!({ "title": "Back" })).await.expect(404);
    assert_eq!(ada.get("/conversations").await.expect(200).body["data"], json!([]));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_answer_can_be_stored() {
    let llm = ScriptedLlm::start().await;
    let variables = [
        ("CHAT_MAX_OUTPUT_TOKENS", "65536"),
        ("CHAT_MAX_TOKENS", "10000000"),
        ("CHAT_MAX_STEPS", "50"),
        ("CHAT_RESULT_TOKENS", "200000"),
    ];
    let app = installation(&llm, &variables).await;
    let ada = app.ada();
    // Three bytes to a character.
    let long = "水鳥は湖で泳ぐ。".repeat(20_000);
    let document = ada.ready("long.txt", &long).await;
    llm.answer(move |request| match request.rounds() {
        rounds if rounds < 6 => {
            let start = rounds * 20_000;
            let mut turn = Turn::default();
            for part in 0..8 {
                let start = start + part * 2_500;
                turn = turn.and_call(
                    "read_document",
                    &json!({ "document_id": document["id"], "start": start, "end": start + 2_500 }),
                );
            }
            turn
        }
        _ => Turn::pieces(std::iter::repeat_n("鳥[1][2][3] ", 20_000)),
    });
    let answer = ada.asks("/chat", json!({ "message": "All of it?" })).await;
    assert_eq!(answer.all("error"), Vec::<Value>::new());
    assert_eq!(answer.finish_reason(), "length");
    let stored = read(&ada, &answer.conversation()).await;
    let message = &stored["messages"][1];
    assert_eq!(message["content"], answer.text());
    assert_eq!(message["citations"], json!(answer.citations()));
    assert_eq!(message["sources"], json!(answer.sources()));
    let size = message.to_string().len();
    assert!((200_000..400_000).contains(&size), "{size}");
    app.stop().await;
}
