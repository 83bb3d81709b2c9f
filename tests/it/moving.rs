//! Documents that go from one collection to another, and those that go for good.

use std::time::Duration;

use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{Embeddings, TestApp, User};

use crate::flow::{DUCKS, PUMPS};

async fn move_to(user: &User<'_>, id: &str, collection: &str) -> tests::Answer {
    user.patch(&format!("/documents/{id}"), json!({ "collection": collection })).await
}

async fn found_in(user: &User<'_>, collection: &str) -> Vec<Value> {
    let query = json!({ "query": "what do ducks eat?", "collections": [collection] });
    user.post("/search", query).await.expect(200).body["data"].as_array().unwrap().clone()
}

fn id(document: &Value) -> &str {
    document["id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_takes_its_vectors_along() {
    let embeddings = Embeddings::start(384).await;
    let app = TestApp::start_with(&embeddings.variables()).await;
    let admin = app.user("acme", "ann", Role::Admin);
    admin.put("/collections/birds", json!({})).await.expect(200);
    let document = admin.ready("ducks.md", DUCKS).await;
    let asked = embeddings.asked().len();
    let moved = move_to(&admin, id(&document), "birds").await.expect(200).body;
    assert_eq!((&moved["collection"], &moved["status"]), (&json!("birds"), &json!("ready")));
    assert!(found_in(&admin, "default").await.is_empty(), "it is not there any more");
    for attempt in 0.. {
        if found_in(&admin, "birds").await.len() == found_in(&admin, "birds").await.len().max(1) {
            break;
        }
        assert!(attempt < 500, "its passages do not follow");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The query, and nothing of the document.
    assert!(embeddings.asked().len() <= asked + 1, "{:?}", &embeddings.asked()[asked..]);
    let counts = admin.get("/collections").await.expect(200).body;
    let count = |name: &str| {
        let all = counts["data"].as_array().unwrap();
        all.iter().find(|each| each["id"] == name).unwrap()["document_count"].clone()
    };
    assert_eq!((count("birds"), count("default")), (json!(1), json!(0)));
    // Its bytes are known in the new collection and free in the old one.
    let fields = [("collection", "birds")];
    let same = admin.upload_with("ducks.md", DUCKS.as_bytes(), &fields).await.expect(200).body;
    assert_eq!(same["document"]["id"], document["id"]);
    let other = admin.upload_with("ducks.md", DUCKS.as_bytes(), &[]).await.expect(202).body;
    assert_ne!(other["document"]["id"], document["id"]);
    // And there it would be in the way.
    admin.worked_off(other["document"]["id"].as_str().unwrap()).await;
    move_to(&admin, id(&document), "default").await.expect(409);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_moved_while_it_is_worked_on_is_found_where_it_went() {
    let embeddings = Embeddings::start(384).await;
    embeddings.pause(Duration::from_millis(100));
    let variables = [&embeddings.variables()[..], &[("INGEST_EMBED_BATCH", "1"), ("INGEST_EMBED_CONCURRENCY", "1")]];
    let app = TestApp::start_with(&variables.concat()).await;
    let admin = app.user("acme", "ann", Role::Admin);
    admin.put("/collections/birds", json!({})).await.expect(200);
    let section = |n| format!("## Part {n}\n\nWhat ducks eat in part {n}.\n\n");
    let sections = (0..8).map(section).collect::<String>();
    for wait in [0, 150, 300, 500, 700, 850] {
        let id = admin.upload("ducks.md", format!("# Ducks {wait}\n\n{sections}")).await;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        move_to(&admin, &id, "birds").await.expect(200);
        let document = admin.worked_off(&id).await;
        assert_eq!((&document["status"], &document["collection"]), (&json!("ready"), &json!("birds")), "{document}");
        let passages = document["chunk_count"].as_u64().unwrap() as usize;
        for attempt in 0.. {
            let query =
                json!({ "query": "what do ducks eat?", "collections": ["birds"], "document_ids": [id], "limit": 100 });
            let found = admin.post("/search", query).await.expect(200).body["data"].as_array().unwrap().len();
            if found == passages {
                break;
            }
            assert!(attempt < 200, "{found} of {passages} passages followed after {wait} ms");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_write_in_both_collections_moves_a_document() {
    let app = TestApp::start().await;
    let admin = app.user("acme", "ann", Role::Admin);
    for (collection, access) in [("open", "tenant"), ("closed", "members"), ("seen", "members")] {
        admin.put(&format!("/collections/{collection}"), json!({ "access": access })).await.expect(200);
    }
    let member = json!({ "role": "editor", "collections": [{ "id": "seen", "role": "viewer" }] });
    admin.put("/users/ada", member).await.expect(201);
    let ada = app.user("acme", "ada", Role::Editor);
    let document = ada.ready("ducks.md", DUCKS).await;
    assert_eq!(move_to(&ada, id(&document), "closed").await.expect(400).body["errors"][0]["pointer"], "/collection");
    assert_eq!(move_to(&ada, id(&document), "none-such").await.expect(400).body["errors"][0]["pointer"], "/collection");
    // An editor of the tenant may write in what the tenant's editors read.
    move_to(&ada, id(&document), "open").await.expect(200);
    let hidden = admin.upload_with("pumps.md", PUMPS.as_bytes(), &[("collection", "closed")]).await.expect(202).body;
    move_to(&ada, id(&hidden["document"]), "open").await.expect(404);
    app.user("acme", "vic", Role::Viewer).patch(&format!("/documents/{}", id(&document)), json!({})).await.expect(403);
    let stranger = app.user("globex", "eve", Role::Owner);
    move_to(&stranger, id(&document), "default").await.expect(404);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_is_told_when_nothing_is_left_of_a_deleted_document() {
    let app = TestApp::start().await;
    let (ada, admin) = (app.ada(), app.user("acme", "ann", Role::Admin));
    let document = ada.ready("ducks.md", DUCKS).await;
    let path = format!("/documents/{}/purge", id(&document));
    admin.get(&path).await.expect(404);
    ada.get(&path).await.expect(403);
    ada.delete(&format!("/documents/{}", id(&document))).await.expect(202);
    purged(&admin, &path).await;
    assert!(!app.folder().join(format!("objects/t/acme/{}/1/original", id(&document))).exists());
    app.user("globex", "eve", Role::Owner).get(&path).await.expect(404);
    app.stop().await;
}

/// Waits until nothing is left of a deleted document.
async fn purged(admin: &User<'_>, path: &str) {
    for attempt in 0.. {
        let purge = admin.get(path).await.expect(200).body;
        assert!(path.contains(purge["id"].as_str().unwrap()), "{purge}");
        if purge["status"] == "purged" {
            assert_eq!(["chunks", "terms", "objects"].map(|left| purge[left].as_u64()), [Some(0); 3]);
            break;
        }
        assert_eq!(purge["status"], "purging");
        assert!(attempt < 500, "{purge}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_worked_off_when_an_installation_stopped_is_when_it_starts_again() {
    let app = TestApp::start().await;
    let mut paths = Vec::new();
    for number in 0..10 {
        let document = app.ada().ready("ducks.md", format!("{DUCKS}\n{number}\n")).await;
        paths.push(format!("/documents/{}", id(&document)));
    }
    for path in &paths {
        app.ada().delete(path).await.expect(202);
    }
    let app = app.restart().await;
    let admin = app.user("acme", "ann", Role::Admin);
    for path in &paths {
        purged(&admin, &format!("{path}/purge")).await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_shows_its_passage_in_the_text() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let document = ada.ready("ducks.md", format!("{DUCKS}\n\nEnten 🦆 schwimmen über Seen.\n")).await;
    let path = format!("/documents/{}/text", id(&document));
    let whole = ada.get(&path).await.expect(200).body;
    assert_eq!((&whole["version"], &whole["next_start"]), (&json!(1), &Value::Null));
    for chunk in ada.chunks(id(&document)).await {
        let span = &chunk["span"];
        let part = ada.get(&format!("{path}?start={}&end={}", span["start"], span["end"])).await.expect(200).body;
        assert_eq!((&part["text"], &part["span"]), (&chunk["text"], span));
    }
    let nothing = ada.get(&format!("{path}?start=5&end=4")).await.expect(200).body;
    assert_eq!((&nothing["text"], &nothing["span"]), (&json!(""), &json!({ "start": 5, "end": 5 })));
    ada.get(&format!("{path}?start=-1")).await.expect(400);
    let waiting =
        ada.post("/documents/upload", json!({ "filename": "x", "content_type": "text/plain", "size_bytes": 1 }));
    let waiting = waiting.await.expect(201).body;
    ada.get(&format!("/documents/{}/text", id(&waiting["document"]))).await.expect(409);
    app.stop().await;
}
