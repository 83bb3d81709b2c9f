//! Collections are the unit of permission.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{TestApp, User};

use crate::flow::DUCKS;

/// The names or ids of a list.
fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect()
}

/// A collection of members, with a document that ada uploaded.
async fn closed_collection(app: &TestApp) -> String {
    let admin = app.user("acme", "adam", Role::Admin);
    admin.put("/collections/board", json!({ "name": "Board", "access": "members" })).await.expect(200);
    let put = json!({ "role": "viewer", "collections": [{ "id": "board", "role": "editor" }] });
    admin.put("/users/ada", put).await.expect(201);
    let upload = app.ada().upload_with("ducks.md", DUCKS.as_bytes(), &[("collection", "board")]).await.expect(202);
    let id = upload.body["document"]["id"].as_str().unwrap().to_owned();
    assert_eq!(app.ada().worked_off(&id).await["status"], "ready");
    id
}

/// Everything that somebody may try to see of a document: none of it may work.
async fn sees_nothing(user: &User<'_>, document: &str) {
    let path = format!("/documents/{document}");
    user.get(&path).await.expect(404);
    user.get(&format!("{path}/chunks")).await.expect(404);
    user.patch(&path, json!({ "filename": "x.md" })).await.expect(404);
    user.delete(&path).await.expect(404);
    for list in ["/documents", "/documents?collection=board", "/documents?status=ready&limit=1"] {
        assert_eq!(user.get(list).await.expect(200).body["data"], json!([]), "{list}");
    }
    assert_eq!(ids(&user.get("/collections").await.expect(200).body), ["default"]);
    assert_eq!(user.search("ducks").await, Vec::<Value>::new());
    for body in [
        json!({ "query": "ducks", "collections": ["board"] }),
        json!({ "query": "ducks", "document_ids": [document] }),
        json!({ "query": "ducks", "collections": ["default"], "document_ids": [document] }),
    ] {
        user.post("/search", body).await.expect(400);
    }
    let question = json!({ "message": "What do ducks eat?", "stream": false });
    let answer = user.post("/chat", question).await.expect(200).body;
    assert_eq!((&answer["sources"], &answer["citations"]), (&json!([]), &json!([])));
    let question = json!({ "message": "What do ducks eat?", "collections": ["board"], "stream": false });
    user.post("/chat", question).await.expect(400);
    let upload = user.upload_with("x.md", b"# X", &[("collection", "board")]).await.expect(400);
    assert_eq!(upload.body["errors"][0]["pointer"], "collection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_of_members_does_not_exist_for_others() {
    let app = TestApp::start().await;
    let document = closed_collection(&app).await;
    let bob = app.user("acme", "bob", Role::Editor);
    sees_nothing(&bob, &document).await;
    let known = ids(&bob.get("/collections").await.expect(200).body).join(" ");
    assert_eq!(known, "default");

    let admin = app.user("acme", "adam", Role::Admin);
    for insider in [&app.ada(), &admin] {
        assert_eq!(ids(&insider.get("/documents").await.expect(200).body), [document.as_str()]);
        assert!(!insider.search("ducks").await.is_empty());
        let me = insider.get("/users/me").await.expect(200).body;
        assert_eq!(me["collections"][0]["id"], "board");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_has_the_role_of_the_collection_in_it_and_the_tenants_elsewhere() {
    let app = TestApp::start().await;
    let document = closed_collection(&app).await;
    let admin = app.user("acme", "adam", Role::Admin);
    let me = app.ada().get("/users/me").await.expect(200).body;
    assert_eq!(me["role"], "viewer", "the tenant's word wins over the token's");
    assert_eq!(me["permissions"], json!(["read", "search", "chat"]));
    let roles = json!([{ "id": "board", "role": "editor" }, { "id": "default", "role": "viewer" }]);
    assert_eq!(me["collections"], roles);
    app.ada().patch(&format!("/documents/{document}"), json!({ "filename": "geese.md" })).await.expect(200);
    app.ada().upload_with("x.md", b"# X", &[]).await.expect(403);

    let put = json!({ "role": "editor", "collections": [{ "id": "board", "role": "viewer" }] });
    admin.put("/users/ada", put).await.expect(200);
    app.ada().get(&format!("/documents/{document}")).await.expect(200);
    app.ada().patch(&format!("/documents/{document}"), json!({ "filename": "x.md" })).await.expect(403);
    app.ada().delete(&format!("/documents/{document}")).await.expect(403);
    app.ada().upload_with("x.md", b"# X", &[("collection", "board")]).await.expect(403);
    app.ada().upload_with("x.md", b"# X", &[]).await.expect(202);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_read_what_changes_at_once_and_no_cached_answer_survives_it() {
    let app = TestApp::start().await;
    let document = closed_collection(&app).await;
    let (admin, bob) = (app.user("acme", "adam", Role::Admin), app.user("acme", "bob", Role::Viewer));
    let path = format!("/documents/{document}");
    for _ in 0..3 {
        admin.put("/collections/board", json!({ "access": "tenant" })).await.expect(200);
        for _ in 0..2 {
            bob.get(&path).await.expect(200);
            assert!(!bob.search("ducks").await.is_empty());
        }
        admin.put("/collections/board", json!({ "access": "members" })).await.expect(200);
        sees_nothing(&bob, &document).await;
        admin
            .put("/users/bob", json!({ "role": "viewer", "collections": [{ "id": "board", "role": "viewer" }] }))
            .await;
        for _ in 0..2 {
            bob.get(&path).await.expect(200);
            assert!(!bob.search("ducks").await.is_empty());
        }
        admin.put("/users/bob", json!({ "role": "viewer" })).await.expect(200);
        sees_nothing(&bob, &document).await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_collection_is_gone_at_once_and_its_documents_soon() {
    let app = TestApp::start().await;
    let document = closed_collection(&app).await;
    let admin = app.user("acme", "adam", Role::Admin);
    app.ada().delete("/collections/board").await.expect(403);
    app.user("acme", "bob", Role::Viewer).delete("/collections/board").await.expect(403);
    app.user("other", "ada", Role::Owner).delete("/collections/board").await.expect(404);
    admin.delete("/collections/default").await.expect(409);

    assert_eq!(admin.delete("/collections/board").await.expect(202).body["status"], "deleting");
    admin.get(&format!("/documents/{document}")).await.expect(404);
    assert_eq!(admin.search("ducks").await, Vec::<Value>::new());
    assert_eq!(ids(&admin.get("/collections").await.expect(200).body), ["default"]);
    admin.delete("/collections/board").await.expect(404);
    app.ada().upload_with("x.md", b"# X", &[("collection", "board")]).await.expect(400);

    // Another by the same id begins empty, as soon as nothing is left of the first, and without its members.
    let started = Instant::now();
    loop {
        let answer = admin.put("/collections/board", json!({ "access": "members" })).await;
        if answer.status == 200 {
            assert_eq!(answer.body["document_count"], 0);
            break;
        }
        assert_eq!(answer.status, 409, "{}", answer.body);
        assert!(started.elapsed() < Duration::from_secs(20), "{}", answer.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    admin.get(&format!("/documents/{document}")).await.expect(404);
    while app.ada().get("/users/me").await.expect(200).body["collections"][0]["id"] != "default" {
        assert!(started.elapsed() < Duration::from_secs(20), "ada is still a member");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let originals = app.folder().join("objects/t/acme").join(&document);
    while originals.exists() && std::fs::read_dir(&originals).unwrap().next().is_some() {
        assert!(started.elapsed() < Duration::from_secs(20), "the original is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    app.stop().await;
}
