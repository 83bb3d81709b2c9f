//! Another tenant's resource does not exist.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{TestApp, data};

/// What is asked of each route: its method, its pattern, a body it would take, and what somebody of another tenant is
/// told when the ids are this tenant's.
const ROUTES: [(&str, &str, Option<&str>, u16); 29] = [
    ("GET", "/health", None, 200),
    ("GET", "/health/ready", None, 200),
    ("POST", "/documents/upload", None, 415),
    ("GET", "/documents", None, 200),
    ("GET", "/documents/{id}", None, 404),
    ("PATCH", "/documents/{id}", Some(r#"{"filename": "x.txt"}"#), 404),
    ("DELETE", "/documents/{id}", None, 404),
    ("GET", "/documents/{id}/chunks", None, 404),
    ("GET", "/documents/{id}/content", None, 404),
    ("GET", "/collections", None, 200),
    ("DELETE", "/collections/{id}", None, 404),
    // From here on the stranger has such a collection, and below such a user.
    ("PUT", "/collections/{id}", Some("{}"), 200),
    ("POST", "/search", Some(r#"{"query": "ducks"}"#), 200),
    ("GET", "/conversations", None, 200),
    ("GET", "/conversations/{id}", None, 404),
    ("DELETE", "/conversations/{id}", None, 404),
    ("GET", "/users/me", None, 200),
    ("PATCH", "/users/me", Some(r#"{"name": "Ada"}"#), 200),
    ("GET", "/users", None, 200),
    ("GET", "/users/{id}", None, 404),
    ("DELETE", "/users/{id}", None, 404),
    ("PUT", "/users/{id}", Some(r#"{"role": "viewer"}"#), 201),
    ("GET", "/keys", None, 200),
    ("POST", "/keys", Some(r#"{"name": "robot"}"#), 201),
    ("DELETE", "/keys/{id}", None, 404),
    ("GET", "/usage", None, 200),
    ("GET", "/audit", None, 200),
    // These are the operator's.
    ("GET", "/tenants/{id}", None, 403),
    ("PUT", "/tenants/{id}", Some("{}"), 403),
];

/// Routes that no one without a token may use; `/chat` is tried in tests of its own.
const PUBLIC: [&str; 2] = ["/health", "/health/ready"];

#[test]
fn each_route_of_the_functions_is_tried_here() {
    let manifest: toml::Table = data::project_file("Cargo.toml").parse().unwrap();
    let router = &manifest["workspace"]["metadata"]["lambda"]["watch"]["router"];
    let routed: BTreeSet<&str> = router.as_table().unwrap().keys().map(String::as_str).collect();
    let mut tried: BTreeSet<&str> = ROUTES.iter().map(|(_, path, ..)| *path).collect();
    tried.insert("/chat");
    assert_eq!(routed, tried, "a route is missing here or in the router of Cargo.toml");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_ids_are_not_found_and_no_byte_of_it_is_seen() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let document = ada.ready("secret.txt", "The secret of ducks is blubberwort.").await;
    let chat = ada.post("/chat", json!({ "message": "ducks?", "stream": false })).await.expect(200).body;
    let owner = app.user("acme", "olga", Role::Owner);
    owner.put("/collections/vault", json!({ "name": "Blubberwort" })).await.expect(200);
    owner.put("/users/vera", json!({ "role": "editor", "name": "Vera Blubberwort" })).await.expect(201);
    let key = ada.post("/keys", json!({ "name": "blubberwort" })).await.expect(201).body;
    let (document, conversation) = (document["id"].as_str().unwrap(), chat["conversation_id"].as_str().unwrap());
    let key = key["id"].as_str().unwrap();
    let stranger = app.user("other", "ada", Role::Owner);
    for (method, pattern, body, status) in ROUTES {
        let id = match pattern.split('/').nth(1) {
            Some("conversations") => conversation,
            Some("collections") => "vault",
            Some("users") => "vera",
            Some("keys") => key,
            _ => document,
        };
        let path = pattern.replace("{id}", id);
        let body = body.map_or(Value::Null, |body| serde_json::from_str(body).unwrap());
        let answer = stranger.call(method.parse().unwrap(), &path, &body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        let text = answer.body.to_string().to_lowercase();
        assert!(!text.contains("secret.txt") && !text.contains("blubberwort"), "{method} {path}: {text}");
    }
    let tricks = [
        ("/search", json!({ "query": "ducks", "document_ids": [document] }), 400),
        ("/chat", json!({ "message": "ducks", "conversation_id": conversation, "stream": false }), 404),
        ("/chat", json!({ "message": "What is the secret of ducks?", "stream": false }), 200),
    ];
    for (path, body, status) in tricks {
        let answer = stranger.post(path, body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(!answer.body.to_string().contains("blubberwort"), "{path}: {}", answer.body);
    }
    let page = ada.get("/documents?limit=1").await.expect(200).body;
    assert_eq!(page["next_cursor"], Value::Null);
    assert_eq!(ada.get(&format!("/documents/{document}")).await.expect(200).body["status"], "ready");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_users_conversation_is_not_found_in_the_same_tenant() {
    let app = TestApp::start().await;
    let chat = app.ada().post("/chat", json!({ "message": "ducks?", "stream": false })).await.expect(200).body;
    let path = format!("/conversations/{}", chat["conversation_id"].as_str().unwrap());
    let colleague = app.user("acme", "bob", Role::Owner);
    colleague.get(&path).await.expect(404);
    colleague.delete(&path).await.expect(404);
    let body = json!({ "message": "x", "conversation_id": chat["conversation_id"] });
    colleague.post("/chat", body).await.expect(404);
    app.ada().get(&path).await.expect(200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_nothing() {
    let app = TestApp::start().await;
    let nobody = app.nobody();
    for (method, pattern, body, _) in ROUTES.into_iter().chain([("POST", "/chat", Some(r#"{"message": "x"}"#), 0)]) {
        let path = pattern.replace("{id}", "01J9ZQ3W6V8Y0ABCDEFGHJKMNP");
        let body = body.map_or(Value::Null, |body| serde_json::from_str(body).unwrap());
        let answer = nobody.call(method.parse::<Method>().unwrap(), &path, &body).await;
        if PUBLIC.contains(&pattern) {
            answer.expect(200);
        } else {
            let answer = answer.expect(401);
            assert_eq!(answer.headers["www-authenticate"], "Bearer", "{path}");
            assert_eq!(answer.body["code"], "unauthenticated", "{path}");
        }
    }
    app.stop().await;
}
