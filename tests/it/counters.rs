//! What the system does is counted, and told to Prometheus.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use shared::metrics::{self, Kind};
use shared::tenancy::Role;
use tests::{RedisProcess, TestApp};

/// The samples of an installation by name and labels. They are those of its process, so other tests count as well: numbers can
/// only be too large.
async fn samples(app: &TestApp) -> BTreeMap<String, f64> {
    let answer = app.nobody().send(Method::GET, "/metrics", "", Vec::new()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, number) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), number.parse().unwrap())
    };
    lines.map(sample).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_answers_and_failures_are_counted() {
    let mut redis = RedisProcess::start().await;
    let (url, patience) = (redis.url(), ("REDIS_TIMEOUT_MS", "5000"));
    let app = TestApp::start_with(&[("REDIS_URL", &url), ("LIMIT_USER_PER_MINUTE", "10"), patience]).await;
    let before = samples(&app).await;
    let ada = app.ada();
    for _ in 0..2 {
        ada.get("/documents").await.expect(200);
    }
    ada.call(Method::PUT, "/collections/birds", &json!({})).await.expect(403);
    ada.get("/nowhere").await.expect(404);
    let admin = app.user("acme", "root", Role::Admin);
    admin.get("/collections").await.expect(200);
    admin.call(Method::PUT, "/collections/birds", &json!({})).await.expect(200);
    admin.get("/collections").await.expect(200);
    while ada.get("/documents").await.status != 429 {}
    ada.get("/documents").await.expect(429);
    let others = app.user("acme", "bob", Role::Editor);
    others.search("what do ducks eat?").await;
    others.post("/chat", json!({ "message": "What do ducks eat?", "stream": false })).await.expect(200);
    redis.kill().await;
    for _ in 0..4 {
        app.user("acme", "eve", Role::Viewer).get("/documents").await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let after = samples(&app).await;
    for name in [
        "ragline_http_request_seconds_count{method=\"GET\",route=\"/documents\",status=\"2xx\"}",
        "ragline_http_request_seconds_count{method=\"GET\",route=\"/documents\",status=\"4xx\"}",
        "ragline_http_request_seconds_count{method=\"PUT\",route=\"/collections/{id}\",status=\"4xx\"}",
        "ragline_http_request_seconds_count{method=\"GET\",route=\"unmatched\",status=\"4xx\"}",
        "ragline_door_allowed_total",
        "ragline_door_denied_total{policy=\"user\"}",
        "ragline_door_denied_from_memory_total",
        "ragline_door_fallback_total{decision=\"allowed\"}",
        "ragline_cache_requests_total{status=\"hit\"}",
        "ragline_cache_requests_total{status=\"miss\"}",
        "ragline_cache_requests_total{status=\"stale\"}",
        "ragline_cache_requests_total{status=\"bypass\"}",
        "ragline_cache_fills_total",
        "ragline_epochs_renewed_total",
        "ragline_redis_command_seconds_count",
        "ragline_redis_connection_seconds_count",
        "ragline_redis_failures_total",
        "ragline_dynamodb_call_seconds_count{operation=\"BatchGetItem\"}",
        "ragline_dynamodb_call_seconds_count{operation=\"SearchVectors\"}",
        "ragline_embedder_call_seconds_count",
        "ragline_query_vectors_total{source=\"embedder\"}",
        "ragline_search_stage_seconds_count{stage=\"candidates\"}",
        "ragline_chat_answer_seconds_count{outcome=\"stop\"}",
        "ragline_chat_first_token_seconds_count",
        "ragline_chat_tokens_total{direction=\"output\"}",
    ] {
        let number = |samples: &BTreeMap<String, f64>| samples.get(name).copied().unwrap_or_default();
        assert!(number(&after) > number(&before), "{name}: {after:#?}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_known_beforehand_begins_at_zero() {
    let app = TestApp::start().await;
    let samples = samples(&app).await;
    for about in metrics::ALL.iter().map(|metric| metric.about()) {
        let name = format!("{}{}", about.name, if about.kind == Kind::Histogram { "_count" } else { "" });
        match (about.labels, about.values) {
            ([], _) => assert!(samples.contains_key(&name), "{name}: {samples:#?}"),
            ([label], values) => {
                for value in values {
                    let series = format!("{name}{{{label}=\"{value}\"}}");
                    assert!(samples.contains_key(&series), "{series}: {samples:#?}");
                }
            }
            _ => {}
        }
    }
    app.stop().await;
}
