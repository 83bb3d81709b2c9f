use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::llm::{ScriptedLlm, Turn};
use tests::{Receiver, User, Watched};

use super::INSTANCE;

/// Stands in everything that a client, a document, a model or a receiver says.
const SECRET: &str = "planted";

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_stands_in_a_line_a_span_a_metric_or_an_event_however_much_is_logged() {
    let (llm, receiver) = (ScriptedLlm::start().await, Receiver::start().await);
    receiver.answers(500);
    let of_llm = llm.variables("scripted");
    let mut variables: Vec<_> = of_llm.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.extend([
        ("LOG_LEVEL", "trace,dynoxide=error"),
        ("LLM_API_KEY", "planted-llm-key"),
        ("SIGNING_SECRET", "planted-signing-secret-of-the-deployment"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=planted-collector-key"),
    ]);
    let app = Watched::start(INSTANCE, &variables).await;
    let olga = app.user("acme", "olga.planted@example.com", Role::Owner);
    let mut secrets = vec![SECRET.to_owned(), "@example".to_owned()];
    secrets.push(olga.token().unwrap().rsplit('.').next().unwrap().to_owned());

    // Users, keys, webhooks.
    let user = json!({ "role": "editor", "email": "ada.planted@example.com", "name": "Ada planted" });
    olga.put("/users/ada.planted@example.com", user).await;
    let key = olga.post("/keys", json!({ "name": "planted key", "role": "editor" })).await.expect(201).body;
    let key = key["key"].as_str().unwrap();
    secrets.push(key.to_owned());
    let url = receiver.url().replacen("http://", "http://planted:planted@", 1);
    for url in [receiver.url(), url] {
        let put = olga.put("/webhooks/crm", json!({ "url": format!("{url}&token=planted") })).await;
        if let Some(secret) = put.body["secret"].as_str() {
            secrets.push(secret.to_owned());
        }
    }
    olga.post("/webhooks/crm/test", Value::Null).await;

    // Documents, of which one cannot be read.
    let ada = app.bearer(Some(key)).with("x-planted", "planted").with("cookie", "session=planted");
    let text = "# planted heading\n\nThe planted pumps of planted@example.com run dry. Error PLANTED-4821.\n";
    let fields = [("metadata", r#"{"planted": "planted value"}"#)];
    let uploaded = ada.upload_with("planted name.md", text.as_bytes(), &fields).await.expect(202);
    let document = ada.worked_off(uploaded.body["document"]["id"].as_str().unwrap()).await;
    assert_eq!(document["status"], "ready", "{document}");
    for (name, bytes) in [("planted.pdf", b"%PDF-1.7 planted".as_slice()), ("planted.docx", b"PK\x03\x04planted")] {
        let broken = ada.upload_with(name, bytes, &[]).await.expect(202);
        assert_eq!(ada.worked_off(broken.body["document"]["id"].as_str().unwrap()).await["status"], "failed");
    }

    // Answers: good, refused by the model in words of its own, and cut off.
    llm.then(Turn::call("search", &json!({ "query": "planted query" })));
    llm.then(Turn::pieces(["The planted answer ", "[1]."]));
    ask(&ada).await;
    llm.then(Turn::call("planted_tool", &json!({ "planted": "planted" })));
    llm.then(Turn::pieces(["planted ", "words"]).and_break());
    ask(&ada).await;
    for status in [400, 500, 500, 429, 429] {
        llm.then(Turn::refused(status, "scripted_kind", "planted message"));
    }
    for _ in 0..3 {
        ask(&ada).await;
    }
    ada.post("/search", json!({ "query": "planted pumps", "filter": { "planted": "planted" } })).await;
    ada.post("/search", json!({ "query": "planted pumps" })).await.expect(200);

    // Input that makes no sense, and callers that nobody knows.
    for (method, path, kind, body) in [
        (Method::POST, "/search", "application/json", r#"{"planted": "planted"}"#),
        (Method::POST, "/search", "application/json", r#"{"query": "planted"#),
        (Method::POST, "/search", "text/planted", "planted"),
        (Method::POST, "/chat", "application/json", r#"{"message": 7, "planted": true}"#),
        (Method::POST, "/chat", "application/json", r#"{"message": "planted", "conversation_id": "planted"}"#),
        (Method::POST, "/documents/upload", "multipart/form-data; boundary=planted", "--planted\r\nplanted"),
        (Method::POST, "/documents/upload", "application/json", r#"{"filename": "planted", "size_bytes": "planted"}"#),
        (Method::GET, "/documents?cursor=planted&planted=planted", "", ""),
        (Method::GET, "/planted/planted@example.com", "", ""),
        (Method::DELETE, "/users/planted@example.com", "", ""),
        (Method::GET, "/conversations/planted@example.com", "", ""),
        (
            Method::POST,
            "/openai/v1/chat/completions",
            "application/json",
            r#"{"model": "planted", "messages": "planted"}"#,
        ),
        (Method::PATCH, "/users/me", "application/json", r#"{"name": "planted", "email": "planted"}"#),
    ] {
        ada.send(method, path, kind, body.as_bytes().to_vec()).await;
    }
    for token in ["rk_planted_key", "eyJplanted.eyJplanted.planted", "planted"] {
        app.bearer(Some(token)).get("/documents").await.expect(401);
    }
    let once = app.bearer(Some(key)).with("idempotency-key", "planted-idempotency");
    once.post("/keys", json!({ "name": "planted" })).await;
    ada.delete(&format!("/documents/{}", document["id"].as_str().unwrap())).await.expect(202);
    app.collector().events_until(3).await;
    tokio::time::sleep(Duration::from_secs(2)).await;

    assert!(app.log().len() > 100 && app.collector().spans().len() > 50, "there is something to look at");
    let told = String::from_utf8_lossy(&app.collector().bytes()).to_lowercase();
    let metrics = app.bearer(None).send(Method::GET, "/metrics", "", Vec::new()).await.text().await.unwrap();
    assert!(metrics.contains("ragline_door_allowed_total"), "{metrics}");
    let (lines, metrics) = (app.lines(), metrics.to_lowercase());
    for secret in secrets.iter().map(|secret| secret.to_lowercase()) {
        let found: Vec<_> = lines.iter().filter(|line| line.to_lowercase().contains(&secret)).collect();
        assert!(found.is_empty(), "{secret}: {found:#?}");
        let found: Vec<_> = metrics.lines().filter(|line| line.contains(&secret)).collect();
        assert!(found.is_empty(), "{secret}: {found:#?}");
        if let Some(place) = told.find(&secret) {
            let around: String =
                told.chars().skip(told[..place].chars().count().saturating_sub(200)).take(400).collect();
            panic!("{secret}: {around:?}");
        }
    }
}

/// Asks, and reads the answer to its end.
async fn ask(user: &User<'_>) {
    let body = json!({ "message": "planted question of planted@example.com" }).to_string().into_bytes();
    let _ = user.send(Method::POST, "/chat", "application/json", body).await.text().await;
}
