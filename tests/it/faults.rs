//! A part fails; the rest goes on.

use std::process::Command;
use std::time::{Duration, Instant};

use axum::body::Body;
use futures::future::try_join_all;
use http::Request;
use http_body_util::BodyExt;
use serde_json::json;
use shared::clients::Builder;
use shared::config::Variables;
use shared::http::boundary;
use tests::{Proxy, TestApp};
use tower::ServiceExt;

use crate::flow::DUCKS;

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_everything_works_and_readiness_says_so() {
    let app = TestApp::start().await;
    let ada = app.ada();
    ada.ready("ducks.md", DUCKS).await;
    let ready = app.nobody().get("/health/ready").await.expect(200).body;
    assert_eq!(ready["status"], "ok", "{ready}");

    let redis = app.running().redis_process().expect("redis-server runs");
    let killed = Command::new("kill").args(["-KILL", &redis.to_string()]).status().unwrap();
    assert!(killed.success());
    tokio::time::sleep(Duration::from_millis(50)).await;

    assert_eq!(ada.search("what do ducks eat?").await[0]["filename"], "ducks.md");
    ada.post("/chat", json!({ "message": "What do ducks eat?", "stream": false })).await.expect(200);
    ada.ready("more.md", "# More\n\nEverything goes on.").await;
    let ready = app.nobody().get("/health/ready").await.expect(200).body;
    assert_eq!(ready["status"], "degraded", "{ready}");
    assert_eq!(ready["checks"]["redis"]["status"], "failed");
    assert_eq!(ready["checks"]["dynamodb"]["status"], "ok");
    app.stop().await;
}

#[tokio::test]
async fn without_the_database_readiness_is_503_with_its_checks_and_liveness_is_200() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = "http://127.0.0.1:9";
    let builder = Builder::new(Variables::from_pairs([
        ("DYNAMODB_ENDPOINT", nowhere),
        ("BLOBS_URL", &format!("file://{}", folder.path().display())),
    ]))
    .await
    .unwrap();
    let state = health::State {
        dynamodb: builder.dynamodb().unwrap(),
        redis: builder.redis().unwrap(),
        blobs: builder.blobs().unwrap(),
    };
    let router = boundary(health::router(state));
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(router.clone().oneshot(get("/health")).await.unwrap().status(), 200);
    let answer = router.oneshot(get("/health/ready")).await.unwrap();
    assert_eq!(answer.status(), 503);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let ready: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(ready["status"], "unavailable");
    assert_eq!(ready["checks"]["dynamodb"]["status"], "failed");
    assert_eq!(ready["checks"]["blobs"]["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_the_database_that_was_dropped_while_it_rested_holds_up_nobody() {
    let app = TestApp::start().await;
    let proxy = Proxy::start(app.dynamodb_endpoint()).await;
    let builder = Builder::new(Variables::from_pairs([("DYNAMODB_ENDPOINT", proxy.url())])).await.unwrap();
    let dynamodb = builder.dynamodb().unwrap();
    // Of several, a second attempt would only find the next.
    let asked = async || try_join_all((0..4).map(|_| dynamodb.ping())).await.unwrap();
    asked().await;
    let connections = proxy.connections();
    asked().await;
    assert_eq!(proxy.connections(), connections, "those that just answered are used again");

    tokio::time::sleep(Duration::from_millis(1_100)).await;
    proxy.blackhole_existing();
    let started = Instant::now();
    asked().await;
    assert!(started.elapsed() < Duration::from_millis(300), "{:?}", started.elapsed());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vector_of_a_query_is_kept_in_the_tenants_slot() {
    let app = TestApp::start().await;
    app.ada().search("what do ducks eat?").await;
    let url = app.running().variables().optional_text("REDIS_URL").unwrap().to_owned();
    let port = url.rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
    let keys = tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let mut redis = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        redis.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        redis.write_all(b"KEYS *\r\n").unwrap();
        let mut answer = vec![0; 4096];
        let read = redis.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    })
    .await
    .unwrap();
    assert!(keys.contains("{acme}:embedding:hashing:384:"), "{keys}");
    assert!(!keys.contains("ducks"), "what people ask does not stand in the cache");
    app.stop().await;
}
