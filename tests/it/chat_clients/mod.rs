//! Every answer of a test set, read by the clients that applications are made with: what their users see is what Ragline's own
//! stream tells, and what is read back.

mod questions;
mod seen;

use reqwest::Method;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::llm::ScriptedLlm;
use tests::{Client, Event, TestApp, User, events};

use self::questions::{QUESTIONS, Question, turn};
use crate::flow::{DUCKS, PUMPS};

/// An installation whose model says what the test set has it say, with something to cite.
async fn start() -> (TestApp, ScriptedLlm) {
    let model = ScriptedLlm::start().await;
    model.answer(turn);
    let variables = model.variables("scripted");
    let mut variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.extend([("CHAT_MAX_OUTPUT_TOKENS", "50000"), ("CHAT_MAX_TOKENS", "1000000")]);
    let app = TestApp::start_with(&variables).await;
    let olga = app.user("acme", "olga", Role::Owner);
    for collection in ["empty", "manuals"] {
        olga.put(&format!("/collections/{collection}"), json!({ "name": collection })).await.expect(200);
    }
    let ada = app.ada();
    ada.ready("ducks.md", DUCKS).await;
    let pumps =
        ada.upload_with("Pumpen Übersicht.md", PUMPS.as_bytes(), &[("collection", "manuals")]).await.expect(202);
    ada.worked_off(pumps.body["document"]["id"].as_str().unwrap()).await;
    (app, model)
}

/// The answer as Ragline's own stream tells it.
async fn native(ada: &User<'_>, question: &Question) -> Vec<Event> {
    let body = question.native().to_string().into_bytes();
    let mut response = ada.send(Method::POST, "/chat", "application/json", body).await;
    assert_eq!(response.status(), 200);
    let (mut bytes, mut stopped) = (Vec::new(), !question.stopped);
    while let Some(more) = response.chunk().await.unwrap() {
        bytes.extend_from_slice(&more);
        if stopped {
            continue;
        }
        let so_far = events(&String::from_utf8_lossy(&bytes[..whole_frames(&bytes)]));
        if so_far.iter().any(|event| event.name == "delta") {
            stopped = true;
            let id = so_far[0].data["message_id"].as_str().unwrap().to_owned();
            ada.post(&format!("/chat/{id}/stop"), Value::Null).await.expect(202);
        }
    }
    events(&String::from_utf8(bytes).unwrap())
}

/// How many bytes of a stream are frames that have come to their end.
fn whole_frames(bytes: &[u8]) -> usize {
    bytes.windows(2).rposition(|pair| pair == b"\n\n").map_or(0, |at| at + 2)
}

async fn read_back(ada: &User<'_>, conversation: &Value) -> Value {
    let path = format!("/conversations/{}", conversation.as_str().unwrap());
    let messages = ada.get(&path).await.expect(200).body["messages"].clone();
    messages.as_array().unwrap().last().unwrap().clone()
}

/// An application that is made with a version of the AI SDK asks all of it.
async fn ai_sdk(version: &str) {
    let Some(client) = Client::node("ai.mjs", &[version]) else { return };
    let (app, _model) = start().await;
    let ada = app.ada();
    let (url, token) = (app.running().url(), app.token("acme", "ada", Role::Editor));
    let lines: Vec<_> = QUESTIONS.iter().map(Question::line).collect();
    let answers = client.run(&[&url, &token], &lines).await;
    assert_eq!(answers.len(), 2 * QUESTIONS.len());
    for (question, answers) in QUESTIONS.iter().zip(answers.chunks(2)) {
        let events = native(&ada, question).await;
        let expected = seen::in_events(&events);
        let told = read_back(&ada, &events[0].data["conversation_id"]).await;
        assert_eq!(seen::in_message(&told), seen::stored_part(&expected), "{}", question.name);
        for answer in answers {
            let (name, way) = (&answer["name"], &answer["way"]);
            assert_eq!((name, &answer["idle"]), (&json!(question.name), &json!(true)), "{way}");
            let told = read_back(&ada, &answer["conversation_id"]).await;
            assert_eq!(told["id"], answer["message_id"], "{name} {way}");
            let mut answer = answer.clone();
            for other in ["name", "way", "idle", "conversation_id", "message_id"] {
                answer.as_object_mut().unwrap().remove(other);
            }
            let mut expected = expected.clone();
            if question.stopped {
                // What a turn took that did not come to its end is estimated.
                expected["usage"] = told["usage"].clone();
            }
            if !expected["problem"].is_null() {
                // A client reads nothing behind an error.
                for end in ["usage", "finish_reason"] {
                    expected[end] = told[end].clone();
                    answer[end] = told[end].clone();
                }
            }
            assert_eq!(answer, expected, "{name} {way}");
            assert_eq!(seen::in_message(&told), seen::stored_part(&expected), "{name} {way}");
        }
    }
    println!("ai {version}: {} answers to {} questions, all as they are stored", answers.len(), QUESTIONS.len());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ai_sdk_5_0_0_reads_every_answer() {
    ai_sdk("5-0-0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_ai_sdk_5_reads_every_answer() {
    ai_sdk("5").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_ai_sdk_6_reads_every_answer() {
    ai_sdk("6").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_ai_sdk_7_reads_every_answer() {
    ai_sdk("7").await;
}

/// A client of OpenAI asks all of it.
async fn openai(client: Option<Client>) {
    let Some(client) = client else { return };
    let (app, _model) = start().await;
    let ada = app.ada();
    let (url, token) = (app.running().url(), app.token("acme", "ada", Role::Editor));
    let lines: Vec<_> = QUESTIONS.iter().map(Question::line).collect();
    let answers = client.run(&[&url, &token], &lines).await;
    let mut read = 0;
    for question in &QUESTIONS {
        let expected = seen::by_openai(&seen::in_events(&native(&ada, question).await));
        let ways: Vec<_> = answers.iter().filter(|answer| answer["name"] == question.name).collect();
        assert_eq!(ways.len(), if question.stopped { 2 } else { 3 }, "{}", question.name);
        for answer in ways {
            read += 1;
            let (name, way) = (&answer["name"], &answer["way"]);
            if way != "stream" && !expected["problem"].is_null() {
                // These have the whole of an answer or nothing.
                assert_eq!((&answer["problem"], &answer["text"]), (&expected["problem"], &Value::Null), "{name} {way}");
                continue;
            }
            let mut expected = expected.clone();
            if question.stopped {
                // What a turn took that did not come to its end is estimated.
                assert!(answer["usage"]["total_tokens"].as_u64() > Some(100), "{name} {way}");
                expected["usage"] = answer["usage"].clone();
            }
            assert_eq!(seen::openai(answer), expected, "{name} {way}");
        }
    }
    let mut cited = answers.iter().filter_map(|answer| answer["annotations"][0]["url_citation"]["url"].as_str());
    let original = reqwest::get(cited.next_back().unwrap()).await.unwrap();
    assert_eq!((original.status().as_u16(), original.text().await.unwrap()), (200, PUMPS.to_owned()));
    println!("{client:?}: {read} answers to {} questions, all as in Ragline's own stream", QUESTIONS.len());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openais_client_for_javascript_reads_every_answer() {
    openai(Client::node("openai.mjs", &[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openais_client_for_python_reads_every_answer() {
    openai(Client::python("openai_client.py", &[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_asks_on_asks_anew_and_changes_its_last_question() {
    for version in ["5-0-0", "7"] {
        let Some(client) = Client::node("ai_turns.mjs", &[version]) else { return };
        let (app, _model) = start().await;
        let (url, token) = (app.running().url(), app.token("acme", "ada", Role::Editor));
        let steps = client.run(&[&url, &token], &[]).await;
        let said = |questions: &[&str]| -> Vec<Value> {
            let pair = |question: &&str| {
                let answer = format!("You asked: {question}");
                [json!({ "role": "user", "text": question }), json!({ "role": "assistant", "text": answer })]
            };
            questions.iter().flat_map(pair).collect()
        };
        let expected: [&[&str]; 5] =
            [&["first"], &["first", "second"], &["first", "second"], &["first", "second"], &["first", "third"]];
        for (step, questions) in steps.iter().zip(expected) {
            assert_eq!(
                (&step["messages"], &step["error"]),
                (&json!(said(questions)), &Value::Null),
                "{}",
                step["name"]
            );
        }
        let conversation = &steps[4]["conversation_id"];
        assert!(steps[..5].iter().all(|step| &step["conversation_id"] == conversation));
        let refused = steps[5]["error"].as_str().expect("only the last question can be changed");
        assert!(refused.contains("\"conflict\""), "{refused}");

        let path = format!("/conversations/{}", conversation.as_str().unwrap());
        let stored = app.ada().get(&path).await.expect(200).body["messages"].clone();
        let told = |message: &Value| json!({ "role": message["role"], "text": message["content"] });
        let stored: Vec<_> = stored.as_array().unwrap().iter().map(told).collect();
        assert_eq!(stored, said(&["first", "third"]), "the replaced question is gone");
        app.stop().await;
    }
}
