//! Whatever a provider of models does instead of answering, the client is told by its kind, what was said is kept, and nothing
//! is left behind.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::TestApp;
use tests::llm::{ScriptedLlm, Turn};
use tokio::runtime::Handle;

/// The longest that anything here may take to be over.
const LIMIT: Duration = Duration::from_secs(20);
/// How long a provider may be silent, before the first piece and later.
const SILENCE: [(&str, &str); 2] = [("LLM_FIRST_TIMEOUT_MS", "1500"), ("LLM_IDLE_TIMEOUT_MS", "700")];

/// What a provider does, and what becomes of it.
struct Case {
    name: &'static str,
    /// How it answers each of the requests.
    turns: Vec<Turn>,
    code: &'static str,
    status: u16,
    /// The words that were said before.
    said: &'static str,
    retry_after: &'static str,
}

fn case(name: &'static str, turns: Vec<Turn>, code: &'static str, status: u16) -> Case {
    Case { name, turns, code, status, said: "", retry_after: "" }
}

impl Case {
    fn after(self, said: &'static str) -> Self {
        Self { said, ..self }
    }

    fn retrying_after(self, retry_after: &'static str) -> Self {
        Self { retry_after, ..self }
    }
}

fn begun() -> Turn {
    Turn::pieces(["Ducks ", "fly "])
}

/// What both providers may do.
fn cases() -> Vec<Case> {
    let refused = |status| Turn::refused(status, "scripted", "of no use to the client");
    let not_yet = || Turn::default().and_pause(Duration::ZERO);
    vec![
        case("overloaded twice", vec![refused(429), refused(429)], "model_overloaded", 503),
        case("failing twice", vec![refused(500), refused(500)], "model_unavailable", 503),
        case("refusing", vec![refused(400)], "model_refused", 502),
        case("without such a model", vec![refused(404)], "model_refused", 502),
        case("without a status", vec![Turn::default().and_hang()], "model_timed_out", 504),
        case("silent after its status", vec![not_yet().and_hang()], "model_timed_out", 504),
        case("silent in the middle", vec![begun().and_hang()], "model_timed_out", 504).after("Ducks fly "),
        case("cut off at once", vec![not_yet().and_break()], "model_broken", 502),
        case("cut off in the middle", vec![begun().and_break()], "model_broken", 502).after("Ducks fly "),
        case("over before its end", vec![begun().and_end()], "model_broken", 502).after("Ducks fly "),
        case("malformed", vec![begun().and_raw("data: {\"choi\n\n")], "model_broken", 502).after("Ducks fly "),
        case("empty", vec![Turn::default()], "model_broken", 502),
        case("filtered", vec![begun().ending("content_filter")], "model_refused", 502).after("Ducks fly "),
    ]
}

async fn installation(variables: &[(&'static str, String)]) -> TestApp {
    let pairs = variables.iter().map(|(name, value)| (*name, value.as_str()));
    TestApp::start_with(&pairs.chain(SILENCE).collect::<Vec<_>>()).await
}

/// Goes through what may happen, each of it streamed and as a whole.
async fn endure(llm: &ScriptedLlm, app: &TestApp, cases: Vec<Case>) {
    let ada = app.ada();
    llm.then(Turn::text("Quack."));
    let answer = ada.post("/chat", json!({ "message": "Ducks?", "stream": false })).await.expect(200);
    assert_eq!(answer.body["answer"], "Quack.");
    let tasks = Handle::current().metrics().num_alive_tasks();
    let faults = cases.len();

    for Case { name, turns, code, status, said, retry_after } in cases {
        let asked = llm.asked();
        for turn in &turns {
            llm.then(turn.clone());
        }
        let streamed = ada.asks("/chat", json!({ "message": "Ducks?" })).await;
        assert_eq!((streamed.text(), streamed.finish_reason().as_str()), (said.to_owned(), "error"), "{name}");
        let problem = &streamed.all("error")[0];
        assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)), "{name}: {problem}");
        assert_eq!((llm.asked() - asked, llm.unsaid()), (turns.len(), 0), "{name}");

        for turn in &turns {
            llm.then(turn.clone());
        }
        let whole = ada.post("/chat", json!({ "message": "Ducks?", "stream": false })).await.expect(status);
        assert_eq!(whole.body["code"], code, "{name}: {}", whole.body);
        assert_eq!(whole.header("retry-after"), retry_after, "{name}");
        for text in [problem, &whole.body] {
            assert!(!text.to_string().contains("of no use"), "{name}: the provider's words stay here: {text}");
        }

        let stored = ada.get(&format!("/conversations/{}", streamed.conversation())).await.expect(200).body;
        let message = &stored["messages"][1];
        assert_eq!((&message["content"], &message["finish_reason"]), (&json!(said), &json!("error")), "{name}");
        assert_eq!(message["id"], streamed.message(), "{name}");
    }
    assert!(llm.quiet_within(LIMIT).await, "{} answers are still open", llm.open());
    // A few are of connections to the database that stayed; what leaks would do so with each fault.
    let started = Instant::now();
    while Handle::current().metrics().num_alive_tasks() > tasks + faults / 2 {
        let alive = Handle::current().metrics().num_alive_tasks();
        assert!(started.elapsed() < LIMIT, "{alive} tasks, and {tasks} before {faults} faults");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    llm.then(Turn::text("Quack."));
    ada.post("/chat", json!({ "message": "Ducks?", "stream": false })).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_an_openai_compatible_server() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm.variables("scripted")).await;
    let refused = |status, kind| Turn::refused(status, kind, "of no use to the client");
    let mut all = cases();
    let patient = refused(429, "rate_limit_exceeded").retry_after("7");
    all.extend([
        case("overloaded for long", vec![patient], "model_overloaded", 503).retrying_after("7"),
        case("without money", vec![refused(429, "insufficient_quota")], "model_refused", 502),
        case("without the key", vec![refused(401, "invalid_api_key")], "model_refused", 502),
        case("failing in the middle", vec![begun().and_error("server_error", "of no use")], "model_unavailable", 503)
            .after("Ducks fly "),
        case("overloaded in the middle", vec![begun().and_error("rate_limit", "of no use")], "model_overloaded", 503)
            .after("Ducks fly "),
    ]);
    endure(&llm, &app, all).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_bedrock() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm.bedrock_variables("scripted")).await;
    let exception = |kind| begun().and_error(kind, "of no use to the client");
    let mut all = cases();
    all.extend([
        case("throttled in the middle", vec![exception("ThrottlingException")], "model_overloaded", 503)
            .after("Ducks fly "),
        case("failing in the middle", vec![exception("InternalServerException")], "model_unavailable", 503)
            .after("Ducks fly "),
        case("a model that breaks", vec![exception("ModelStreamErrorException")], "model_broken", 502)
            .after("Ducks fly "),
        case("invalid in the middle", vec![exception("ValidationException")], "model_refused", 502).after("Ducks fly "),
        case("slow", vec![Turn::refused(408, "ModelTimeoutException", "of no use")], "model_timed_out", 504),
    ]);
    endure(&llm, &app, all).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens() {
    // A port that was free a moment ago.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (kind, base) in [("openai", format!("http://{gone}/v1")), ("bedrock", format!("http://{gone}"))] {
        let variables = [("LLM", kind.to_owned()), ("LLM_BASE_URL", base), ("LLM_MODEL", "scripted".to_owned())];
        let app = installation(&variables).await;
        let streamed = app.ada().asks("/chat", json!({ "message": "Ducks?" })).await;
        assert_eq!(streamed.all("error")[0]["code"], "model_unavailable");
        let whole = app.ada().post("/chat", json!({ "message": "Ducks?", "stream": false })).await.expect(503);
        assert_eq!(whole.body["code"], "model_unavailable");
        assert!(!whole.body.to_string().contains("127.0.0.1"), "{}", whole.body);
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_not_begun_to_be_answered_is_repeated_once() {
    let llm = ScriptedLlm::start().await;
    for variables in [llm.variables("scripted"), llm.bedrock_variables("scripted")] {
        let app = installation(&variables).await;
        for status in [429, 500, 503] {
            let asked = llm.asked();
            llm.then(Turn::refused(status, "scripted", "not now")).then(Turn::text("Quack."));
            let answer = app.ada().post("/chat", json!({ "message": "Ducks?", "stream": false })).await.expect(200);
            assert_eq!((&answer.body["answer"], llm.asked() - asked), (&json!("Quack."), 2), "{status}");
        }
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_does_not_know_is_not_sent_again() {
    let llm = ScriptedLlm::start().await;
    llm.answer(|request| {
        if request.body["max_tokens"].is_u64() {
            // As OpenAI says it; only the parameter is named by a field of its own.
            let message = "Unsupported parameter: 'max_tokens' is not supported with this model. \
                           Use 'max_completion_tokens' instead.";
            Turn::refused(400, "unsupported_parameter", message).about("max_tokens")
        } else if request.wants_usage() {
            Turn::refused(400, "invalid_request_error", "Unrecognized request argument supplied: stream_options")
        } else {
            Turn::text("Quack.")
        }
    });
    let app = installation(&llm.variables("scripted")).await;
    for requests in [3, 4, 5] {
        let answer = app.ada().post("/chat", json!({ "message": "Ducks?", "stream": false })).await.expect(200);
        assert_eq!((&answer.body["answer"], llm.asked()), (&json!("Quack."), requests));
        assert!(answer.body["usage"]["output_tokens"].as_u64().unwrap() > 0, "an estimate stands in");
    }
    let last = llm.requests().pop().unwrap();
    assert_eq!((last.max_tokens(), &last.body["max_tokens"]), (Some(1024), &Value::Null));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_arguments_are_told_to_the_model_which_goes_on() {
    let llm = ScriptedLlm::start().await;
    for variables in [llm.variables("scripted"), llm.bedrock_variables("scripted")] {
        let app = installation(&variables).await;
        for arguments in ["{\"query\": 7}", "{\"query\": ", "[]", ""] {
            llm.then(Turn::default().and_call_with("search", arguments)).then(Turn::text("I see."));
            let answer = app.ada().asks("/chat", json!({ "message": "Ducks?" })).await;
            assert_eq!((answer.text().as_str(), answer.finish_reason().as_str()), ("I see.", "stop"), "{arguments}");
            assert!(answer.all("tool_result")[0]["error"].is_string(), "{arguments}");
        }
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_one_turn_after_another() {
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm.variables("scripted-len3-tools-2")).await;
    for _ in 0..3 {
        app.ada().asks("/chat", json!({ "message": "Ducks?" })).await;
    }
    assert_eq!((llm.asked(), llm.connections()), (9, 1), "three turns an answer");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_turn_on_bedrock_is_offered_no_tools_and_still_taken() {
    let llm = ScriptedLlm::start().await;
    // It calls as long as it may.
    llm.answer(|request| match request.tools().len() {
        3 => Turn::call("search", &json!({ "query": "ducks" })),
        _ => Turn::text("That is all I found."),
    });
    let mut variables = llm.bedrock_variables("scripted").to_vec();
    variables.push(("CHAT_MAX_STEPS", "3".to_owned()));
    let app = installation(&variables).await;
    let answer = app.ada().asks("/chat", json!({ "message": "Ducks?" })).await;
    assert_eq!((answer.text().as_str(), answer.finish_reason().as_str()), ("That is all I found.", "stop"));
    let requests = llm.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[2].body["toolConfig"]["tools"][0]["toolSpec"]["name"], "search");
    for request in &requests {
        assert_eq!(request.max_tokens(), Some(1024));
        assert!(!request.system().is_empty());
    }
    app.stop().await;
}
