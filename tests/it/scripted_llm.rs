//! The scripted language model does what the tests that rely on it suppose.

use std::time::{Duration, Instant};

use futures::StreamExt;
use reqwest::Response;
use serde_json::{Value, json};
use tests::llm::{ScriptedLlm, Turn};

const LIMIT: Duration = Duration::from_secs(10);

async fn ask(llm: &ScriptedLlm, body: Value) -> Response {
    reqwest::Client::new().post(format!("{}/chat/completions", llm.url())).json(&body).send().await.unwrap()
}

fn question(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "Do ducks fly?" }] })
}

/// The chunks of a stream, of which the last is `[DONE]`.
async fn chunks(response: Response) -> Vec<Value> {
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = response.text().await.unwrap();
    let mut lines: Vec<_> = text.split("\n\n").filter_map(|frame| frame.strip_prefix("data: ")).collect();
    assert_eq!(lines.pop(), Some("[DONE]"), "{text}");
    lines.into_iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn said(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

#[tokio::test]
async fn a_stream_and_a_whole_answer_say_the_same() {
    let llm = ScriptedLlm::start().await;
    let mut body = question("scripted-len20", true);
    body["stream_options"] = json!({ "include_usage": true });
    let streamed = chunks(ask(&llm, body).await).await;
    let whole: Value = ask(&llm, question("scripted-len20", false)).await.json().await.unwrap();
    assert_eq!(said(&streamed), whole["choices"][0]["message"]["content"]);
    assert_eq!(said(&streamed).split(' ').count(), 20);
    let [.., last, usage] = streamed.as_slice() else { panic!("{streamed:?}") };
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!((&usage["choices"], &usage["usage"]["completion_tokens"]), (&json!([]), &json!(20)));
    assert_eq!(whole["usage"]["completion_tokens"], 20);
}

#[tokio::test]
async fn a_call_comes_in_parts_and_its_outcome_is_answered() {
    let llm = ScriptedLlm::start().await;
    let tools = json!([{ "type": "function", "function": { "name": "search", "parameters": {} } }]);
    let mut body = question("tools-1", true);
    body["tools"] = tools;
    let streamed = chunks(ask(&llm, body.clone()).await).await;
    let calls: Vec<_> = streamed.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].get(0)).collect();
    assert!(calls.len() > 2, "{calls:?}");
    let arguments: String = calls.iter().map(|call| call["function"]["arguments"].as_str().unwrap()).collect();
    assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), json!({ "query": "Do ducks fly?" }));
    assert_eq!(streamed.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");

    let id = &calls[0]["id"];
    let function = json!({ "name": "search", "arguments": arguments });
    let messages = body["messages"].as_array_mut().unwrap();
    messages
        .push(json!({ "role": "assistant", "tool_calls": [{ "id": id, "type": "function", "function": function }] }));
    assert_eq!(ask(&llm, body.clone()).await.status(), 400, "a call without an outcome");
    body["messages"].as_array_mut().unwrap().push(json!({ "role": "tool", "tool_call_id": id, "content": "Yes." }));
    assert!(said(&chunks(ask(&llm, body).await).await).ends_with(" [1]"));
    let requests = llm.requests();
    assert_eq!((requests.len(), requests[2].rounds(), requests[2].results()), (3, 1, vec!["Yes."]));
}

#[tokio::test]
async fn turns_come_before_the_function_and_that_before_the_name() {
    let llm = ScriptedLlm::start().await;
    llm.answer(|request| Turn::text(&request.question().to_uppercase())).then(Turn::pieces(["a", "b"]).usage(5, 7));
    let mut body = question("unknown", true);
    body["stream_options"] = json!({ "include_usage": true });
    let first = chunks(ask(&llm, body).await).await;
    assert_eq!((said(&first).as_str(), &first.last().unwrap()["usage"]["prompt_tokens"]), ("ab", &json!(5)));
    assert_eq!(said(&chunks(ask(&llm, question("unknown", true)).await).await), "DO DUCKS FLY?");
    let other = ScriptedLlm::start().await;
    assert_eq!(ask(&other, question("unknown", true)).await.status(), 404);
}

#[tokio::test]
async fn faults_come_where_the_name_says() {
    let llm = ScriptedLlm::start().await;
    let refused = ask(&llm, question("status-429-retry-7", true)).await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    assert_eq!(ask(&llm, question("status-500", true)).await.status(), 500);

    for (model, complete) in [("breaks-after-4", false), ("ends-after-4", true)] {
        let mut stream = ask(&llm, question(model, true)).await.bytes_stream();
        let (mut text, mut broken) = (String::new(), false);
        while let Some(bytes) = stream.next().await {
            match bytes {
                Ok(bytes) => text.push_str(str::from_utf8(&bytes).unwrap()),
                Err(_) => broken = true,
            }
        }
        assert_eq!(text.matches("\"content\":").count(), 1 + 4, "a greeting and four pieces: {text}");
        assert!(!text.contains("[DONE]") && broken != complete, "{model}");
    }
    assert_eq!(said(&chunks(ask(&llm, question("empty", true)).await).await), "");
    let malformed = ask(&llm, question("bad-json-after-2", true)).await.text().await.unwrap();
    assert!(malformed.contains("\"choi\n\n"), "{malformed}");
    assert!(llm.quiet_within(LIMIT).await);
    assert_eq!(llm.left(), 0, "every client stayed to the end");
}

#[tokio::test]
async fn a_client_that_goes_is_noticed() {
    let llm = ScriptedLlm::start().await;
    let mut stream = ask(&llm, question("hangs-after-2", true)).await.bytes_stream();
    stream.next().await.unwrap().unwrap();
    assert_eq!((llm.open(), llm.connections()), (1, 1));
    drop(stream);
    assert!(llm.quiet_within(LIMIT).await);

    let silent = tokio::time::timeout(Duration::from_millis(200), ask(&llm, question("hangs", true))).await;
    assert!(silent.is_err(), "no status comes");
    assert!(llm.quiet_within(LIMIT).await);
    assert_eq!((llm.asked(), llm.left()), (2, 2));
}

#[tokio::test]
async fn the_pace_is_kept() {
    let llm = ScriptedLlm::start().await;
    let started = Instant::now();
    let streamed = chunks(ask(&llm, question("ttft200-itl20-len11", true)).await).await;
    assert_eq!(said(&streamed).split(' ').count(), 11);
    assert!(started.elapsed() >= Duration::from_millis(400), "{:?}", started.elapsed());
}
