use serde_json::{Value, json};
use shared::telemetry::pseudonym;
use shared::tenancy::Role;
use tests::{Collector, Watched};
use tokio::process::Command;

use super::INSTANCE;

/// A port that nobody listens at.
const NOWHERE: &str = "http://127.0.0.1:9/v1";

fn failures(log: &[Value]) -> Vec<&Value> {
    log.iter().filter(|line| line["level"] == "ERROR").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_5xx_is_one_line_and_one_event() {
    let variables = [
        ("EMBEDDER", "openai"),
        ("OPENAI_BASE_URL", NOWHERE),
        ("EMBEDDING_MODEL", "none"),
        ("SENTRY_ENVIRONMENT", "staging"),
        ("SENTRY_RELEASE", "ragline@7"),
    ];
    let app = Watched::start(INSTANCE, &variables).await;
    let ada = app.user("acme", "ada@example.com", Role::Editor);
    let answer = ada.post("/search", json!({ "query": "planted question" })).await.expect(503);
    let events = app.collector().events_until(1).await;
    let (log, [event]) = (app.log(), events.as_slice()) else { panic!("{events:#?}") };
    let [line] = failures(&log)[..] else { panic!("{log:#?}") };
    let (tenant, user) = ("acme".parse().unwrap(), "ada@example.com".parse().unwrap());
    for (name, expected) in [
        ("message", json!("failed")),
        ("request_id", answer.header("x-request-id").into()),
        ("tenant", "acme".into()),
        ("user", pseudonym(&tenant, &user).into()),
        ("method", "POST".into()),
        ("route", "/search".into()),
        ("status", 503.into()),
    ] {
        assert_eq!(line[name], expected, "{line}");
    }
    assert_eq!(answer.body["request_id"], line["request_id"]);
    assert_eq!(event["transaction"], "POST /search");
    assert_eq!((&event["environment"], &event["release"]), (&json!("staging"), &json!("ragline@7")));
    assert_eq!(event["tags"]["request_id"], line["request_id"]);
    assert_eq!(event["tags"]["trace_id"], line["trace_id"]);
    let hashed = event["tags"]["tenant"].as_str().unwrap();
    assert!(hashed.len() == 32 && hashed != "acme", "{hashed}");
    assert_eq!(event["exception"]["values"][0]["type"], "unavailable");
    assert!(!event.to_string().contains("planted"), "{event}");
    let spans = app.collector().spans_until("the request", |spans| spans.iter().any(|span| span.failed)).await;
    let failed = spans.iter().find(|span| span.name == "POST /search").unwrap();
    assert_eq!((failed.failed, &failed.attributes["error.type"]), (true, &json!("unavailable")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_fails_is_one_line_and_one_event() {
    let variables = [("LLM", "openai"), ("LLM_MODEL", "none"), ("LLM_BASE_URL", NOWHERE)];
    let app = Watched::start(INSTANCE, &variables).await;
    let ada = app.user("acme", "ada", Role::Editor);
    let answer = ada.post("/chat", json!({ "message": "planted question", "stream": false })).await.expect(503);
    let events = app.collector().events_until(1).await;
    assert_eq!(events[0]["tags"]["request_id"], answer.header("x-request-id"));
    let log = app.log();
    assert_eq!((failures(&log).len(), events.len()), (1, 1), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_one_line_and_one_event_and_the_process_lives() {
    let (collector, folder) = (Collector::start().await, tempfile::tempdir().unwrap());
    let output = Command::new(env!("CARGO_BIN_EXE_faulty"))
        .arg(folder.path())
        .envs([("EMBEDDER", "hashing"), ("EMBEDDING_DIMENSIONS", "384"), ("LOG_FORMAT", "json")])
        .envs([("LOG_LEVEL", "debug,dynoxide=error"), ("SENTRY_DSN", &collector.dsn())])
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    // In the handler: 500. In the worker: its message comes back.
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "search 500\nworker 1\nalive 200\n", "{errors}");
    let log: Vec<Value> = errors.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failures = failures(&log);
    let [handler, worker] = failures[..] else { panic!("{failures:#?}") };
    assert_eq!((&handler["route"], &handler["status"]), (&json!("/search"), &json!(500)));
    assert_eq!((&worker["message_id"], &worker["tenant"]), (&json!("m1"), &json!("acme")));
    assert!(worker["document"].is_string());
    let events = collector.events_until(2).await;
    assert_eq!(events.len(), 2);
    for (line, event) in failures.iter().zip(&events) {
        // Where it happened, and not what was worked on.
        assert!(line["error"].as_str().unwrap().starts_with("internal: panic: tests/src/bin/faulty.rs:"), "{line}");
        assert!(event["exception"]["values"][0]["value"].as_str().unwrap().starts_with("panic: "), "{event}");
    }
    assert!(!errors.contains("planted") && !String::from_utf8_lossy(&collector.bytes()).contains("planted"));
}
