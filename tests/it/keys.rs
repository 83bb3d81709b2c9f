//! API keys.

use std::time::Duration;

use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{Monitor, TestApp, User};

use crate::flow::DUCKS;

async fn make(user: &User<'_>, body: Value) -> (String, String) {
    let made = user.post("/keys", body).await.expect(201).body;
    (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_works_and_is_refused_after_it_was_revoked() {
    let app = TestApp::start().await;
    let (id, text) = make(&app.ada(), json!({ "name": "robot", "role": "editor" })).await;
    assert!(text.starts_with("rk_") && text.len() == 59, "{text}");
    let robot = app.bearer(&text);
    robot.ready("ducks.md", DUCKS).await;
    let me = robot.get("/users/me").await.expect(200).body;
    assert_eq!((&me["id"], &me["key"], &me["role"]), (&json!("ada"), &json!(id), &json!("editor")));

    let list = app.ada().get("/keys").await.expect(200).body;
    assert_eq!((&list["data"][0]["id"], &list["data"][0]["created_by"]), (&json!(id), &json!("ada")));
    assert!(list["data"][0]["last_used_at"].is_string(), "{list}");
    assert!(!list.to_string().contains(&text[3..]) && !list.to_string().contains("sha256"), "{list}");

    app.ada().delete(&format!("/keys/{id}")).await.expect(204);
    robot.get("/users/me").await.expect(401);
    robot.get("/documents").await.expect(401);
    app.ada().delete(&format!("/keys/{id}")).await.expect(404);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_never_has_more_rights_than_who_made_it_has_now() {
    let app = TestApp::start().await;
    let owner = app.user("acme", "olga", Role::Owner);
    app.ada().post("/keys", json!({ "name": "x", "role": "admin" })).await.expect(400);
    owner.post("/keys", json!({ "name": "x", "role": "operator" })).await.expect(400);
    owner.post("/keys", json!({ "name": "x", "role": "admin", "collections": ["default"] })).await.expect(400);
    app.ada().post("/keys", json!({ "name": "x", "collections": ["board"] })).await.expect(400);

    let (_, text) = make(&app.ada(), json!({ "name": "robot", "role": "editor" })).await;
    let robot = app.bearer(&text);
    robot.upload("a.md", "# A").await;
    owner.put("/users/ada", json!({ "role": "viewer" })).await.expect(200);
    robot.upload_with("b.md", b"# B", &[]).await.expect(403);
    assert_eq!(robot.get("/users/me").await.expect(200).body["role"], "viewer");

    owner.put("/collections/board", json!({ "access": "members" })).await.expect(200);
    robot.get("/documents?collection=board").await.expect(200);
    robot.post("/search", json!({ "query": "x", "collections": ["board"] })).await.expect(400);
    let put = json!({ "role": "viewer", "collections": [{ "id": "board", "role": "editor" }] });
    owner.put("/users/ada", put).await.expect(200);
    robot.post("/search", json!({ "query": "x", "collections": ["board"] })).await.expect(200);
    robot.upload_with("b.md", b"# B", &[("collection", "board")]).await.expect(202);
    robot.upload_with("b.md", b"# B", &[]).await.expect(403);
    robot.post("/keys", json!({ "name": "child" })).await.expect(409);
    robot.patch("/users/me", json!({ "name": "Robot" })).await.expect(409);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_some_collections_sees_no_other_and_not_what_its_maker_said() {
    let app = TestApp::start().await;
    let admin = app.user("acme", "adam", Role::Admin);
    admin.put("/collections/open", json!({})).await.expect(200);
    let secret = app.ada().ready("ducks.md", DUCKS).await;
    let chat = app.ada().post("/chat", json!({ "message": "ducks?", "stream": false })).await.expect(200).body;
    let (own, text) = make(&app.ada(), json!({ "name": "robot", "collections": ["open"] })).await;
    let (other, _) = make(&app.ada(), json!({ "name": "another" })).await;
    let robot = app.bearer(&text);

    assert_eq!(robot.search("ducks").await, Vec::<Value>::new());
    robot.get(&format!("/documents/{}", secret["id"].as_str().unwrap())).await.expect(404);
    assert_eq!(robot.get("/documents").await.expect(200).body["data"], json!([]));
    let collections = robot.get("/users/me").await.expect(200).body["collections"].clone();
    assert_eq!(collections, json!([{ "id": "open", "role": "viewer" }]));
    assert_eq!(robot.get("/conversations").await.expect(200).body["data"], json!([]));
    let conversation = chat["conversation_id"].as_str().unwrap();
    robot.get(&format!("/conversations/{conversation}")).await.expect(404);
    let more = json!({ "message": "more?", "conversation_id": conversation, "stream": false });
    robot.post("/chat", more).await.expect(404);
    let keys = robot.get("/keys").await.expect(200).body;
    assert_eq!((&keys["data"][0]["id"], keys["data"].as_array().unwrap().len()), (&json!(own), 1));
    robot.delete(&format!("/keys/{other}")).await.expect(404);
    app.user("other", "ada", Role::Owner).delete(&format!("/keys/{other}")).await.expect(404);
    app.user("acme", "bob", Role::Editor).delete(&format!("/keys/{other}")).await.expect(404);
    admin.delete(&format!("/keys/{other}")).await.expect(204);
    robot.delete(&format!("/keys/{own}")).await.expect(204);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_none_costs_no_read_and_one_that_expired_is_refused() {
    let app = TestApp::start().await;
    let (_, text) = make(&app.ada(), json!({ "name": "robot" })).await;
    let mut mistyped = text.clone();
    let last = mistyped.pop().unwrap();
    mistyped.push(if last == '0' { '1' } else { '0' });
    let unknown = shared::keys::Secret::new().unwrap().reveal();
    for wrong in [mistyped.as_str(), "rk_", "rk_live_1234", &unknown, &text.to_uppercase(), &format!("{text}0")] {
        let answer = app.bearer(wrong).get("/users/me").await.expect(401);
        assert_eq!(answer.body["code"], "unauthenticated");
    }
    let end = time::OffsetDateTime::now_utc() + time::Duration::milliseconds(1_500);
    let end = end.format(&time::format_description::well_known::Rfc3339).unwrap();
    let (_, text) = make(&app.ada(), json!({ "name": "short", "expires_at": end })).await;
    app.bearer(&text).get("/users/me").await;
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    app.bearer(&text).get("/users/me").await.expect(401);
    for past in ["2020-01-01T00:00:00Z", "soon", "9999-12-31T23:59:59-23:59"] {
        app.ada().post("/keys", json!({ "name": "x", "expires_at": past })).await.expect(400);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_known_takes_one_command_and_counts_as_its_maker() {
    let app = TestApp::start_with(&[("LIMIT_USER_PER_MINUTE", "20"), ("DOOR_TRUST_MS", "60000")]).await;
    let (_, text) = make(&app.ada(), json!({ "name": "robot" })).await;
    let robot = app.bearer(&text);
    let first = robot.get("/users/me").await.expect(200);
    assert!(first.header("ratelimit").contains("\"user\";r=18"), "{}", first.header("ratelimit"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    robot.get("/users/me").await.expect(200);
    let mut monitor = Monitor::start(app.redis_url()).await;
    let hit = robot.get("/users/me").await.expect(200);
    assert!(hit.header("cache-status").contains("hit"), "{}", hit.header("cache-status"));
    let commands = monitor.taken().await;
    assert_eq!(commands.len(), 2, "one for the tenant, one for the address: {commands:?}");
    app.stop().await;
}
