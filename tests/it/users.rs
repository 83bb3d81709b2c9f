//! Users: invited, changed and removed, with a trail of it all.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{TestApp, User};

async fn names(admin: &User<'_>) -> Vec<String> {
    let users = admin.get("/users").await.expect(200).body;
    users["data"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_appears_with_the_first_request_and_an_admin_may_say_more() {
    let app = TestApp::start().await;
    let owner = app.user("acme", "olga", Role::Owner);
    app.ada().get("/documents").await.expect(200);
    app.user("other", "eve", Role::Owner).get("/documents").await.expect(200);
    assert_eq!(names(&owner).await, ["ada", "olga"]);
    let ada = owner.get("/users/ada").await.expect(200).body;
    assert_eq!((&ada["role"], &ada["collections"]), (&json!("editor"), &json!([])));
    assert!(ada["created_at"].is_string());

    let put = json!({ "role": "viewer", "email": "bob@example.com", "name": "Bob" });
    let invited = owner.put("/users/bob", put.clone()).await.expect(201).body;
    assert_eq!((&invited["name"], &invited["email"]), (&json!("Bob"), &json!("bob@example.com")));
    owner.put("/users/bob", put).await.expect(200);
    let bob = app.user("acme", "bob", Role::Owner);
    let me = bob.get("/users/me").await.expect(200).body;
    assert_eq!((&me["role"], &me["name"]), (&json!("viewer"), &json!("Bob")), "the tenant's word wins");
    bob.get("/users").await.expect(403);
    owner.get("/users/nobody").await.expect(404);
    owner.get("/users/eve").await.expect(404);

    let first = owner.get("/users?limit=2").await.expect(200).body;
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    let next = owner.get(&format!("/users?cursor={}", first["next_cursor"].as_str().unwrap())).await.expect(200).body;
    assert_eq!((&next["data"][0]["id"], &next["next_cursor"]), (&json!("olga"), &Value::Null));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_or_takes_more_than_they_have() {
    let app = TestApp::start().await;
    let (owner, admin) = (app.user("acme", "olga", Role::Owner), app.user("acme", "adam", Role::Admin));
    for user in [&owner, &admin, &app.ada()] {
        user.get("/users/me").await.expect(200);
    }
    for role in ["admin", "owner"] {
        admin.put("/users/ada", json!({ "role": role })).await.expect(403);
        admin.put("/users/new", json!({ "role": role })).await.expect(403);
    }
    admin.put("/users/olga", json!({ "role": "viewer" })).await.expect(403);
    admin.put("/users/adam", json!({ "role": "owner" })).await.expect(403);
    admin.delete("/users/olga").await.expect(403);
    app.ada().put("/users/ada", json!({ "role": "owner" })).await.expect(403);
    app.ada().delete("/users/adam").await.expect(403);
    let faults = owner
        .put(
            "/users/ada",
            json!({
                "role": "operator", "email": "ada",
                "collections": [{ "id": "gone", "role": "viewer" }, { "id": "default", "role": "owner" }],
            }),
        )
        .await
        .expect(400)
        .body;
    let pointers: Vec<_> = faults["errors"].as_array().unwrap().iter().map(|fault| fault["pointer"].clone()).collect();
    assert_eq!(pointers, ["/email", "/role", "/collections/0/id", "/collections/1/role"]);
    owner.put("/users/a%23b", json!({ "role": "viewer" })).await.expect(400);
    admin.put("/users/ada", json!({ "role": "viewer" })).await.expect(200);
    owner.put("/users/ada", json!({ "role": "admin" })).await.expect(200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_owner_stays() {
    let app = TestApp::start().await;
    let (olga, otto) = (app.user("acme", "olga", Role::Owner), app.user("acme", "otto", Role::Owner));
    olga.get("/users/me").await.expect(200);
    olga.put("/users/olga", json!({ "role": "viewer" })).await.expect(409);
    olga.delete("/users/olga").await.expect(409);
    otto.get("/users/me").await.expect(200);
    // Both at once: one of them succeeds at most.
    let put = |user: &'static str| json!({ "role": "editor", "name": user });
    let (first, second) = futures::join!(olga.put("/users/otto", put("otto")), otto.put("/users/olga", put("olga")));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert!(statuses == [200, 409] || statuses == [200, 403], "{statuses:?}");
    let left = if first.status == 200 { &olga } else { &otto };
    assert_eq!(left.get("/users/me").await.expect(200).body["role"], "owner");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_removed_is_nobody_until_invited_again() {
    let app = TestApp::start().await;
    let owner = app.user("acme", "olga", Role::Owner);
    let question = json!({ "message": "ducks?", "stream": false });
    let chat = app.ada().post("/chat", question).await.expect(200).body;
    let key = app.ada().post("/keys", json!({ "name": "robot" })).await.expect(201).body;
    let robot = app.bearer(key["key"].as_str().unwrap());
    robot.get("/users/me").await.expect(200);

    owner.delete("/users/ada").await.expect(204);
    for gone in [app.ada(), robot] {
        let answer = gone.get("/users/me").await.expect(401);
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        gone.get("/documents").await.expect(401);
        gone.post("/search", json!({ "query": "ducks" })).await.expect(401);
        gone.patch("/users/me", json!({ "name": "Still here" })).await.expect(401);
    }
    owner.delete("/users/ada").await.expect(404);
    assert_eq!(names(&owner).await, ["olga"]);

    owner.put("/users/ada", json!({ "role": "viewer" })).await.expect(201);
    assert_eq!(app.ada().get("/users/me").await.expect(200).body["role"], "viewer");
    let path = format!("/conversations/{}", chat["conversation_id"].as_str().unwrap());
    let started = Instant::now();
    while app.ada().get(&path).await.status == 200 || owner.get("/keys").await.body["data"] != json!([]) {
        assert!(started.elapsed() < Duration::from_secs(20), "something is left of the user");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(app.ada().get("/conversations").await.expect(200).body["data"], json!([]));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_administrative_change_leaves_an_entry() {
    let app = TestApp::start().await;
    let owner = app.user("acme", "olga", Role::Owner);
    owner.put("/users/bob", json!({ "role": "editor" })).await.expect(201);
    owner.put("/users/bob", json!({ "role": "operator" })).await.expect(400);
    owner.put("/collections/board", json!({ "access": "members" })).await.expect(200);
    owner.delete("/collections/board").await.expect(202);
    let key = owner.post("/keys", json!({ "name": "robot" })).await.expect(201).body;
    let path = format!("/keys/{}", key["id"].as_str().unwrap());
    owner.delete(&path).await.expect(204);
    owner.delete("/users/bob").await.expect(204);
    let operator = app.user("platform", "eva", Role::Operator);
    operator.put("/tenants/acme", json!({ "name": "Acme" })).await.expect(200);

    let trail = owner.get("/audit").await.expect(200).body;
    let entries = trail["data"].as_array().unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| (entry["action"].as_str().unwrap(), &entry["target"])).collect();
    assert_eq!(
        actions,
        [
            ("tenant.put", &json!("acme")),
            ("user.removed", &json!("bob")),
            ("key.revoked", &key["id"]),
            ("key.created", &key["id"]),
            ("collection.deleted", &json!("board")),
            ("collection.put", &json!("board")),
            ("user.put", &json!("bob")),
        ]
    );
    assert_eq!(entries[0]["actor"], json!({ "tenant": "platform", "user": "eva", "key": null }));
    assert_eq!(entries[6]["actor"], json!({ "tenant": "acme", "user": "olga", "key": null }));
    assert_eq!(entries[6]["detail"]["role"], "editor");
    assert!(!trail.to_string().contains("rk_"), "no secret is in it");

    let first = owner.get("/audit?limit=3").await.expect(200).body;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = owner.get(&format!("/audit?limit=3&cursor={cursor}")).await.expect(200).body;
    assert_eq!(second["data"][0], entries[3]);
    app.ada().get("/audit").await.expect(403);
    assert_eq!(operator.get("/audit").await.expect(200).body["data"], json!([]));
    app.stop().await;
}
