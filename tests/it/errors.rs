//! Bad input is refused by name and stores nothing.

use reqwest::Method;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{Answer, TestApp};

/// Checks a problem document.
#[track_caller]
fn problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.body["status"], status);
    assert_eq!(answer.body["code"], code);
    assert_eq!(answer.body["request_id"], answer.headers["x-request-id"].to_str().unwrap());
    for member in ["type", "title", "detail", "instance"] {
        assert!(answer.body[member].is_string(), "{member}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_body_is_refused_by_the_name_of_the_field() {
    let app = TestApp::start().await;
    let admin = app.user("acme", "boss", Role::Admin);
    let id = admin.ready("a.txt", "Some text about ducks.").await["id"].as_str().unwrap().to_owned();
    let document = format!("/documents/{id}");
    let long = "x".repeat(9_000);
    let cases: Vec<(Method, &str, Value, &str)> = vec![
        (Method::POST, "/search", json!({}), "/"),
        (Method::POST, "/search", json!([]), "/"),
        (Method::POST, "/search", json!(["ducks"]), "/"),
        (Method::POST, "/search", json!({ "query": 5 }), "/query"),
        (Method::POST, "/search", json!({ "query": "  " }), "/query"),
        (Method::POST, "/search", json!({ "query": long }), "/query"),
        (Method::POST, "/search", json!({ "query": "x", "limit": 0 }), "/limit"),
        (Method::POST, "/search", json!({ "query": "x", "limit": 101 }), "/limit"),
        (Method::POST, "/search", json!({ "query": "x", "limit": -1 }), "/limit"),
        (Method::POST, "/search", json!({ "query": "x", "mode": "psychic" }), "/mode"),
        (Method::POST, "/search", json!({ "query": "x", "colections": [] }), "/colections"),
        (Method::POST, "/search", json!({ "query": "x", "collections": ["default", "A B"] }), "/collections/1"),
        (Method::POST, "/search", json!({ "query": "x", "collections": ["none"] }), "/collections/0"),
        (Method::POST, "/search", json!({ "query": "x", "document_ids": ["x"] }), "/document_ids/0"),
        (Method::POST, "/search", json!({ "query": "x", "document_ids": vec![&id; 21] }), "/document_ids"),
        (Method::POST, "/chat", json!({ "message": "" }), "/message"),
        (Method::POST, "/chat", json!({ "message": long }), "/message"),
        (Method::POST, "/chat", json!({ "message": "x", "conversation_id": "x" }), "/conversation_id"),
        (Method::POST, "/chat", json!({ "message": "x", "collections": ["none"] }), "/collections/0"),
        (Method::PATCH, &document, json!({ "filename": "a/b" }), "/filename"),
        (Method::PATCH, &document, json!({ "metadata": { "a": null } }), "/metadata/a"),
        (Method::PATCH, &document, json!({ "metadata": { "a": 1e300 } }), "/metadata/a"),
        (Method::PATCH, &document, json!({ "status": "ready" }), "/status"),
        (Method::PUT, "/collections/Bad%20Name", json!({}), "id"),
        (Method::PUT, "/collections/x", json!({ "name": "" }), "/name"),
        (Method::PUT, "/collections/x", json!({ "access": "everyone" }), "/access"),
        (Method::GET, "/documents?limit=0", Value::Null, "limit"),
        (Method::GET, "/documents?limit=many", Value::Null, "limit"),
        (Method::GET, "/documents?limit=1&limit=2", Value::Null, "limit"),
        (Method::GET, "/documents?status=done", Value::Null, "status"),
        (Method::GET, "/documents?colour=red", Value::Null, "colour"),
        (Method::GET, "/documents?cursor=!!", Value::Null, "cursor"),
        (Method::GET, "/documents?cursor=Q09OViN4", Value::Null, "cursor"),
        (Method::GET, "/conversations?limit=1000", Value::Null, "limit"),
    ];
    for (method, path, body, pointer) in cases {
        let answer = admin.call(method.clone(), path, &body).await;
        problem(&answer, 400, "invalid_request");
        let shown: String = body.to_string().chars().take(80).collect();
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{method} {path} {shown}: {}", answer.body);
    }
    assert_eq!(admin.get("/conversations").await.body["data"], json!([]), "nothing was stored");
    assert_eq!(admin.get(&document).await.body["filename"], "a.txt");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_upload_is_refused_and_stores_nothing() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let text: &[u8] = b"Some text.";
    for (fields, pointer) in [
        (&[("collection", "none")][..], "collection"),
        (&[("collection", "A B")], "collection"),
        (&[("metadata", "not json")], "metadata"),
        (&[("metadata", "[]")], "metadata"),
        (&[("metadata", r#"{"a":{"b":1}}"#)], "metadata/a"),
        (&[("colour", "red")], "colour"),
    ] {
        let answer = ada.upload_with("a.txt", text, fields).await;
        problem(&answer, 400, "invalid_request");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer);
    }
    problem(&ada.upload_with("", text, &[]).await, 400, "invalid_request");
    problem(&ada.upload_with("big.txt", &vec![b'x'; 4_600_000], &[]).await, 413, "too_large");

    let path = "/documents/upload";
    problem(&ada.post(path, json!({ "filename": "a.txt" })).await, 400, "invalid_request");
    let response = ada.send(Method::POST, path, "text/plain", b"Ducks.".to_vec()).await;
    assert_eq!(response.status(), 415);
    for (kind, body) in [
        ("multipart/form-data", "no boundary"),
        ("multipart/form-data; boundary=x", "not a form"),
        (
            "multipart/form-data; boundary=x",
            "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\ncut",
        ),
        ("multipart/form-data; boundary=x", "--x--\r\n"),
    ] {
        let status = ada.send(Method::POST, path, kind, body.as_bytes().to_vec()).await.status();
        assert!(status.is_client_error(), "{kind} {body}: {status}");
    }
    assert_eq!(ada.get("/documents").await.body["data"], json!([]));
    let objects = app.folder().join("objects/t");
    assert!(!objects.exists(), "no bytes were stored");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_no_route_or_no_method_is_a_problem_too() {
    let app = TestApp::start().await;
    let ada = app.ada();
    problem(&ada.get("/nothing").await, 404, "not_found");
    problem(&ada.delete("/search").await, 405, "method_not_allowed");
    for body in ["", "{", "{\"query\": \"x\"} more", "\u{0}"] {
        let response = ada.send(Method::POST, "/search", "application/json", body.as_bytes().to_vec()).await;
        assert_eq!(response.status(), 400, "{body:?}");
    }
    let response = ada.send(Method::POST, "/search", "text/plain", b"{}".to_vec()).await;
    assert_eq!(response.status(), 415);
    let huge = format!("{{\"query\": \"{}\"}}", "x".repeat(300_000));
    let response = ada.send(Method::POST, "/search", "application/json", huge.into_bytes()).await;
    assert_eq!(response.status(), 413);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_what_it_may_and_no_more() {
    let app = TestApp::start().await;
    let id = app.ada().ready("a.txt", "Some text about ducks.").await["id"].as_str().unwrap().to_owned();
    let viewer = app.user("acme", "vera", Role::Viewer);
    viewer.get(&format!("/documents/{id}")).await.expect(200);
    assert!(!viewer.search("ducks").await.is_empty());
    problem(&viewer.upload_with("b.txt", b"Text.", &[]).await, 403, "forbidden");
    problem(&viewer.delete(&format!("/documents/{id}")).await, 403, "forbidden");
    let change = json!({ "filename": "b.txt" });
    problem(&viewer.call(Method::PATCH, &format!("/documents/{id}"), &change).await, 403, "forbidden");
    problem(&app.ada().call(Method::PUT, "/collections/x", &json!({})).await, 403, "forbidden");
    let me = viewer.get("/users/me").await.expect(200).body;
    assert_eq!(me["id"], "vera");
    assert_eq!(me["role"], "viewer");
    assert_eq!(me["tenant"]["id"], "acme");
    assert_eq!(me["collections"], json!([{ "id": "default", "role": "viewer" }]));
    app.stop().await;
}
