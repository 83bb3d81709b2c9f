use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use reqwest::Method;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::llm::{ScriptedLlm, Turn};
use tests::{Receiver, Span, Watched};

use super::INSTANCE;
use crate::flow::DUCKS;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

fn of_trace(spans: &[Span]) -> Vec<&Span> {
    spans.iter().filter(|span| span.trace_id == TRACE).collect()
}

#[track_caller]
fn named<'a>(spans: &[&'a Span], name: &str) -> &'a Span {
    let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name} is missing: {names:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_upload_to_the_citation() {
    let (llm, receiver) = (ScriptedLlm::start().await, Receiver::start().await);
    llm.then(Turn::call("search", &json!({ "query": "what do ducks eat?" })));
    llm.then(Turn::pieces(["Ducks eat grasses ", "[1]."]));
    let variables = llm.variables("scripted");
    let app = Watched::start(INSTANCE, &variables.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
    let admin = app.user("acme", "olga@example.com", Role::Admin);
    admin.put("/webhooks/crm", json!({ "url": receiver.url() })).await.expect(201);

    let ada = app.user("acme", "ada@example.com", Role::Editor).with("traceparent", &traceparent("01"));
    let document = ada.ready("ducks.md", DUCKS).await;
    let body = json!({ "message": "what do ducks eat?", "stream": false });
    let answer = ada.post("/chat", body).await.expect(200).body;
    assert_eq!(answer["citations"][0]["document_id"], document["id"], "{answer}");

    let complete = |spans: &[Span]| {
        let names: Vec<_> = of_trace(spans).into_iter().map(|span| span.name.as_str()).collect();
        ["POST /documents/upload", "ingest", "changes", "webhooks", "POST /chat", "invoke_agent ragline"]
            .iter()
            .all(|name| names.contains(name))
    };
    let spans = app.collector().spans_until("all parts of the trace", complete).await;
    let spans = of_trace(&spans);
    let parent_of = |span: &Span| spans.iter().find(|parent| parent.id == span.parent).copied();

    // HTTP: the caller's span is the parent.
    let upload = named(&spans, "POST /documents/upload");
    assert_eq!((upload.parent.as_str(), upload.kind), (CALLER, SpanKind::Server));
    assert_eq!(upload.attributes["http.route"], "/documents/upload");
    assert_eq!(upload.attributes["http.response.status_code"], 202);
    assert_eq!(upload.attributes["tenant"], "acme");
    // Queue and worker, stream, queue again.
    for (name, kind) in [("ingest", SpanKind::Consumer), ("changes", SpanKind::Consumer)] {
        let span = named(&spans, name);
        assert_eq!((span.kind, &span.parent), (kind, &upload.id), "{name}");
        assert_eq!(span.attributes["ragline.document"], document["id"]);
    }
    for name in ["extract", "embed", "index"] {
        assert_eq!(parent_of(named(&spans, name)).unwrap().name, "ingest");
    }
    let delivery = named(&spans, "webhooks");
    assert_eq!(parent_of(delivery).unwrap().name, "changes");

    // The answer, in the words of the conventions.
    let chat = named(&spans, "POST /chat");
    assert_eq!(chat.parent, CALLER);
    let agent = named(&spans, "invoke_agent ragline");
    assert_eq!(agent.parent, chat.id);
    assert_eq!(agent.attributes["gen_ai.operation.name"], "invoke_agent");
    assert_eq!(agent.attributes["gen_ai.conversation.id"], answer["conversation_id"]);
    let turns: Vec<_> = spans.iter().filter(|span| span.name == "chat scripted").collect();
    assert_eq!(turns.len(), 2);
    for turn in &turns {
        assert_eq!((&turn.parent, turn.kind), (&agent.id, SpanKind::Client));
        assert_eq!(turn.attributes["gen_ai.operation.name"], "chat");
        assert_eq!(turn.attributes["gen_ai.provider.name"], "openai");
        assert!(turn.attributes["gen_ai.usage.input_tokens"].as_u64().unwrap() > 0);
        assert!(turn.attributes["gen_ai.usage.output_tokens"].as_u64().unwrap() > 0);
    }
    let reasons: Vec<_> = turns.iter().map(|turn| &turn.attributes["gen_ai.response.finish_reasons"]).collect();
    assert_eq!(reasons, [&json!(["tool_calls"]), &json!(["stop"])]);
    let tool = named(&spans, "execute_tool search");
    assert_eq!((&tool.parent, &tool.attributes["gen_ai.tool.name"]), (&agent.id, &json!("search")));
    let vectors: Vec<_> = spans.iter().filter(|span| span.name.starts_with("embeddings ")).collect();
    let parents: Vec<_> = vectors.iter().map(|span| parent_of(span).unwrap().name.as_str()).collect();
    assert!(parents.contains(&"embed") && parents.contains(&"execute_tool search"), "{parents:?}");

    // Lines name the trace, and prompts stand nowhere.
    let log = app.log();
    let line = |message: &str, route: &str| {
        let is = |line: &&Value| line["message"] == message && line["route"] == route;
        log.iter().find(is).unwrap_or_else(|| panic!("{message} {route}: {log:#?}"))
    };
    let answered = line("answered", "/documents/upload");
    assert_eq!((&answered["trace_id"], &answered["tenant"]), (&json!(TRACE), &json!("acme")));
    assert!(answered["duration_ms"].is_number() && answered["status"] == 202, "{answered}");
    assert!(!String::from_utf8_lossy(&app.collector().bytes()).contains("grasses"));
    // Nobody is shown it.
    assert_eq!(document.get("traceparent"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_stands_in_traces_only_where_that_is_asked_for() {
    let app = Watched::start(INSTANCE, &[("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")]).await;
    let ada = app.user("acme", "ada", Role::Editor);
    ada.ready("ducks.md", DUCKS).await;
    let answer = ada.post("/chat", json!({ "message": "what do ducks eat?", "stream": false })).await.expect(200).body;
    let is_agent = |span: &&Span| span.name == "invoke_agent ragline";
    let spans = app.collector().spans_until("an answer", |spans| spans.iter().any(|span| is_agent(&span))).await;
    let agent = spans.iter().find(is_agent).unwrap();
    let said: Value = serde_json::from_str(agent.attributes["gen_ai.output.messages"].as_str().unwrap()).unwrap();
    assert_eq!(said, json!([{ "role": "assistant", "parts": [{ "type": "text", "content": answer["answer"] }] }]));
    let turn = spans.iter().find(|span| span.name.starts_with("chat ")).unwrap();
    let told: Value = serde_json::from_str(turn.attributes["gen_ai.input.messages"].as_str().unwrap()).unwrap();
    let roles: Vec<_> = told.as_array().unwrap().iter().map(|message| &message["role"]).collect();
    assert_eq!(roles[..2], ["system", "user"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_answer_is_one_trace_to_its_end() {
    let app = Watched::start(INSTANCE, &[]).await;
    let ada = app.user("acme", "ada", Role::Editor).with("traceparent", &traceparent("01"));
    ada.ready("ducks.md", DUCKS).await;
    let body = json!({ "message": "what do ducks eat?" }).to_string().into_bytes();
    ada.send(Method::POST, "/chat", "application/json", body).await.text().await.unwrap();
    let has = |spans: &[Span], name: &str| of_trace(spans).iter().any(|span| span.name == name);
    let both = |spans: &[Span]| has(spans, "POST /chat") && has(spans, "invoke_agent ragline");
    let spans = app.collector().spans_until("the answer", both).await;
    let spans = of_trace(&spans);
    let (request, agent) = (named(&spans, "POST /chat"), named(&spans, "invoke_agent ragline"));
    assert_eq!(agent.parent, request.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sampled_is_not_exported_and_callers_may_be_left_without_a_say() {
    let none = [("OTEL_TRACES_SAMPLER_ARG", "0")];
    let app = Watched::start(INSTANCE, &none).await;
    let ada = app.user("acme", "ada", Role::Editor);
    ada.get("/users/me").await.expect(200);
    ada.at(app.instance().url()).with("traceparent", &traceparent("01")).get("/users/me").await.expect(200);
    let spans = app.collector().spans_until("the caller's", |spans| !spans.is_empty()).await;
    assert!(spans.iter().all(|span| span.trace_id == TRACE), "{spans:?}");
    let of_route = |line: &Value| line["message"] == "answered" && line["route"] == "/users/me";
    let answered = || app.log().into_iter().filter(of_route);
    assert_eq!(answered().map(|line| line["trace_id"].clone()).collect::<Vec<_>>(), [Value::Null, TRACE.into()]);

    let app = Watched::start(INSTANCE, &[none[0], ("OTEL_TRACES_SAMPLER", "traceidratio")]).await;
    let ada = app.user("acme", "ada", Role::Editor).with("traceparent", &traceparent("01"));
    ada.get("/users/me").await.expect(200);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(app.collector().spans().len(), 0);
    // Whoever looks for the caller's trace finds it in the lines all the same.
    assert!(app.log().iter().any(|line| line["message"] == "answered" && line["trace_id"] == TRACE));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_or_slow_harms_nobody_and_is_one_line() {
    let app = Watched::start(INSTANCE, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "300")]).await;
    let ada = app.user("acme", "ada", Role::Editor);
    let complaints = || app.lines().iter().filter(|line| line.contains("is left alone")).count();
    for (status, delay) in [(503, Duration::ZERO), (200, Duration::from_secs(5))] {
        app.collector().answers(status, delay);
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(3) {
            let asked = Instant::now();
            ada.get("/users/me").await.expect(200);
            assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(complaints(), 1, "{:#?}", app.lines());
    }
    assert!(app.collector().requests() <= 2, "{}", app.collector().requests());
}
