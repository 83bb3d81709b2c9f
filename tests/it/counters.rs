//! What the door does is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use reqwest::Method;
use serde_json::json;
use shared::tenancy::Role;
use tests::{RedisProcess, TestApp};

#[tokio::test(flavor = "multi_thread")]
async fn decisions_answers_and_failures_are_counted() {
    // One for the whole process, so other tests count as well: numbers can only be too large.
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();

    let mut redis = RedisProcess::start().await;
    let (url, patience) = (redis.url(), ("REDIS_TIMEOUT_MS", "5000"));
    let app = TestApp::start_with(&[("REDIS_URL", &url), ("LIMIT_USER_PER_MINUTE", "10"), patience]).await;
    let ada = app.ada();
    for _ in 0..2 {
        ada.get("/documents").await.expect(200);
    }
    ada.call(Method::PUT, "/collections/birds", &json!({})).await.expect(403);
    let admin = app.user("acme", "root", Role::Admin);
    admin.get("/collections").await.expect(200);
    admin.call(Method::PUT, "/collections/birds", &json!({})).await.expect(200);
    admin.get("/collections").await.expect(200);
    while ada.get("/documents").await.status != 429 {}
    ada.get("/documents").await.expect(429);
    redis.kill().await;
    for _ in 0..4 {
        app.user("acme", "eve", Role::Viewer).get("/documents").await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let mut seen: BTreeMap<String, f64> = BTreeMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let labels = key.key().labels().map(|label| format!(" {}={}", label.key(), label.value()));
        let name = format!("{}{}", key.key().name(), labels.collect::<String>());
        let number = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(values) => values.len() as f64,
        };
        seen.insert(name, number);
    }
    for name in [
        "ragline_door_allowed_total",
        "ragline_door_denied_total policy=user",
        "ragline_door_denied_from_memory_total",
        "ragline_door_fallback_total decision=allowed",
        "ragline_cache_requests_total status=hit",
        "ragline_cache_requests_total status=miss",
        "ragline_cache_requests_total status=stale",
        "ragline_cache_requests_total status=bypass",
        "ragline_cache_fills_total",
        "ragline_redis_failures_total",
        "ragline_redis_round_trip_seconds",
    ] {
        assert!(seen.get(name).is_some_and(|number| *number > 0.0), "{name}: {seen:?}");
    }
    // Another test's cache may have come back since.
    assert!(seen.contains_key("ragline_redis_breaker_open"), "{seen:?}");
    app.stop().await;
}
