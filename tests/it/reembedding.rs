//! Another embedding model: documents get vectors of it while searches go on with the one before.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::chunks::Chunks;
use shared::clients::{Builder, DynamoDb};
use shared::collections::Collections;
use shared::editions::{self, Edition};
use shared::tenancy::{CollectionId, Role, TenantId};
use tests::{Embeddings, TestApp, User};

use crate::flow::DUCKS;

/// A new index of the embedded database refuses searches for half a minute, as those of DynamoDB do for longer.
const LIMIT: Duration = Duration::from_mins(3);

const ANIMALS: [&str; 8] = ["badger", "heron", "otter", "lynx", "marten", "plover", "stoat", "wigeon"];

fn acme() -> TenantId {
    "acme".parse().unwrap()
}

fn second() -> Edition {
    Edition::FIRST.next()
}

async fn dynamodb(app: &TestApp) -> DynamoDb {
    Builder::new(app.running().variables().clone()).await.unwrap().dynamodb().unwrap()
}

/// The collections that are complete in an edition after the first.
async fn complete(app: &TestApp) -> BTreeMap<CollectionId, Edition> {
    Collections::new(&dynamodb(app).await).overview(&acme()).await.unwrap().editions
}

async fn until_complete(app: &TestApp, collections: usize) {
    let started = Instant::now();
    while complete(app).await.values().filter(|edition| **edition == second()).count() < collections {
        assert!(started.elapsed() < LIMIT, "{:?}", complete(app).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn about(animal: &str) -> String {
    format!("# The {animal}\n\nWhat the {animal} eats is told by those who watched the {animal}.\n")
}

fn question(animal: &str) -> Value {
    json!({ "query": format!("what does the {animal} eat?"), "limit": 1 })
}

/// The document that a question about an animal finds first.
async fn found(user: &User<'_>, animal: &str) -> Value {
    user.post("/search", question(animal)).await.expect(200).body["data"][0]["document_id"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_find_everything_while_documents_are_re_embedded() {
    let app = TestApp::start().await;
    let admin = app.user("acme", "ann", Role::Admin);
    admin.put("/collections/birds", json!({})).await.expect(200);
    let mut known = Vec::new();
    for (number, animal) in ANIMALS.into_iter().enumerate() {
        let collection = if number % 2 == 0 { "birds" } else { "default" };
        let file = about(animal);
        let fields = [("collection", collection)];
        let answer = admin.upload_with(&format!("{animal}.md"), file.as_bytes(), &fields).await.expect(202).body;
        admin.worked_off(answer["document"]["id"].as_str().unwrap()).await;
        known.push((animal, answer["document"]["id"].clone()));
    }
    let replaced = admin.ready("crane.md", about("crane")).await;
    let deleted = admin.ready("egret.md", about("egret")).await;
    let moved = admin.ready("finch.md", about("finch")).await;

    let app = app.restart_with(&[("EMBEDDING_DIMENSIONS", "256")]).await;
    let admin = app.user("acme", "ann", Role::Admin);
    let (over, searches) = (AtomicBool::new(false), AtomicUsize::new(0));
    let searching = async {
        while !over.load(Ordering::SeqCst) {
            for (animal, id) in &known {
                assert_eq!(found(&admin, animal).await, *id, "{animal} after {searches:?} searches");
                searches.fetch_add(1, Ordering::SeqCst);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let changing = async {
        let added = admin.ready("gannet.md", about("gannet")).await;
        assert_eq!(found(&admin, "gannet").await, added["id"], "a new document is found at once");
        let id = replaced["id"].as_str().unwrap();
        let fields = [("document_id", id)];
        admin.upload_with("crane.md", about("curlew").as_bytes(), &fields).await.expect(202);
        admin.delete(&format!("/documents/{}", deleted["id"].as_str().unwrap())).await.expect(202);
        let path = format!("/documents/{}", moved["id"].as_str().unwrap());
        admin.patch(&path, json!({ "collection": "birds" })).await.expect(200);
        until_complete(&app, 2).await;
        // Some more with the new index.
        tokio::time::sleep(Duration::from_secs(1)).await;
        over.store(true, Ordering::SeqCst);
        added
    };
    let ((), added) = tokio::join!(searching, changing);
    assert!(searches.into_inner() > 100);

    let app = app.restart().await;
    let indexes = editions::indexed(&dynamodb(&app).await).await.unwrap();
    assert_eq!(indexes, BTreeMap::from([(second(), 256)]), "the index before is gone");
    let admin = app.user("acme", "ann", Role::Admin);
    known.extend([("gannet", added["id"].clone()), ("curlew", replaced["id"].clone()), ("finch", moved["id"].clone())]);
    for (animal, id) in known {
        assert_eq!(found(&admin, animal).await, id, "{animal}");
    }
    assert_ne!(found(&admin, "egret").await, deleted["id"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn re_embedding_goes_on_where_it_was_when_the_process_ended() {
    const FILES: usize = 40;
    let (before, after) = (Embeddings::start(384).await, Embeddings::start(256).await);
    let app = TestApp::start_with(&before.variables()).await;
    let mut ids = Vec::new();
    for number in 0..FILES {
        ids.push(
            app.ada().upload(&format!("{number}.md"), format!("Report {number}: all is well in hall {number}.")).await,
        );
    }
    for id in &ids {
        app.ada().worked_off(id).await;
    }
    after.pause(Duration::from_millis(100));
    let variables = [&after.variables()[..], &[("EMBEDDING_DIMENSIONS", "256"), ("INGEST_EMBED_BATCH", "1")]].concat();
    let mut app = app.restart_with(&variables).await;
    for share in 1..=3 {
        let started = Instant::now();
        while after.asked().len() < share * FILES / 4 {
            assert!(started.elapsed() < LIMIT, "{:?}", after.asked());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        app = app.restart().await;
    }
    after.pause(Duration::ZERO);
    until_complete(&app, 1).await;
    let asked = after.asked().len();
    // What was asked for when the process ended, and nothing that was written.
    assert!((FILES..=FILES + 3).contains(&asked), "{asked} texts for {FILES} passages");
    let app = app.restart().await;
    for (number, id) in ids.iter().enumerate() {
        let query = json!({ "query": format!("report {number} hall {number}"), "limit": 1, "mode": "semantic" });
        let answer = app.ada().post("/search", query).await.expect(200).body;
        assert_eq!(answer["data"][0]["document_id"], **id, "report {number}");
    }
    assert_eq!(editions::indexed(&dynamodb(&app).await).await.unwrap().len(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_asks_the_model_that_all_its_collections_are_complete_in() {
    let (before, after) = (Embeddings::start(384).await, Embeddings::start(256).await);
    let app = TestApp::start_with(&before.variables()).await;
    let admin = app.user("acme", "ann", Role::Admin);
    admin.put("/collections/birds", json!({})).await.expect(200);
    admin.ready("ducks.md", DUCKS).await;
    // No worker: what is complete is what this test says.
    let elsewhere = tempfile::tempdir().unwrap();
    let queue = format!("file://{}/queue", elsewhere.path().display());
    let variables =
        [&after.variables()[..], &[("EMBEDDING_DIMENSIONS", "256"), ("INGEST_QUEUE_URL", queue.as_str())]].concat();
    let app = app.restart_with(&variables).await.restart().await;
    let collections = Collections::new(&dynamodb(&app).await);
    let birds: CollectionId = "birds".parse().unwrap();
    let check = collections.check(&acme(), &birds).await.unwrap().unwrap();
    assert!(collections.complete(&acme(), &birds, second(), &check).await.unwrap());

    let admin = app.user("acme", "ann", Role::Admin);
    let asked = |embeddings: &Embeddings, query: &str| embeddings.asked().iter().any(|text| text == query);
    for attempt in 0.. {
        // Whoever asked before the door heard of it asked the model before.
        let query = format!("ducks in birds {attempt}");
        admin.post("/search", json!({ "query": query, "collections": ["birds"] })).await.expect(200);
        if asked(&after, &query) {
            assert!(!asked(&before, &query), "one model is enough");
            break;
        }
        assert!(asked(&before, &query) && attempt < 500);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for query in [json!({ "query": "ducks" }), json!({ "query": "ducks there", "collections": ["default"] })] {
        let data = admin.post("/search", query.clone()).await.expect(200).body["data"].clone();
        assert!(!data.as_array().unwrap().is_empty());
        let query = query["query"].as_str().unwrap();
        assert!(asked(&before, query) && !asked(&after, query), "{query}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_without_vectors_sets_back_the_collection_it_is_moved_to() {
    let app = TestApp::start().await;
    let admin = app.user("acme", "ann", Role::Admin);
    for collection in ["birds", "fish"] {
        admin.put(&format!("/collections/{collection}"), json!({})).await.expect(200);
    }
    let collections = Collections::new(&dynamodb(&app).await);
    let document = admin.ready("ducks.md", DUCKS).await;
    let path = format!("/documents/{}", document["id"].as_str().unwrap());
    for collection in ["birds", "fish", "default"] {
        let id: CollectionId = collection.parse().unwrap();
        let check = collections.check(&acme(), &id).await.unwrap().unwrap();
        assert!(collections.complete(&acme(), &id, second(), &check).await.unwrap());
        let under_check = collections.check(&acme(), &id).await.unwrap().unwrap();
        admin.patch(&path, json!({ "collection": collection })).await.expect(200);
        assert!(!complete(&app).await.contains_key(&id), "{collection} is complete");
        assert!(!collections.complete(&acme(), &id, second(), &under_check).await.unwrap(), "it came in between");
        // And to describe it anew does not tell otherwise.
        admin.put(&format!("/collections/{collection}"), json!({ "name": "Other" })).await.expect(200);
        assert!(!complete(&app).await.contains_key(&id));
    }
    let birds: CollectionId = "birds".parse().unwrap();
    let check = collections.check(&acme(), &birds).await.unwrap().unwrap();
    assert!(collections.complete(&acme(), &birds, second(), &check).await.unwrap());
    admin.put("/collections/birds", json!({ "name": "Birds" })).await.expect(200);
    assert_eq!(complete(&app).await.get(&birds), Some(&second()), "describing it changes nothing");
    admin.patch(&path, json!({ "collection": "none-such" })).await.expect(400);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_not_there_is_no_answer_and_no_failure() {
    let app = TestApp::start().await;
    app.ada().ready("ducks.md", DUCKS).await;
    let chunks = Chunks::new(&dynamodb(&app).await);
    let default = CollectionId::default_collection();
    let vector = vec![0.5; 384];
    assert!(chunks.nearest(&acme(), &default, None, Edition::FIRST, &vector).await.unwrap().is_some());
    assert!(chunks.nearest(&acme(), &default, None, second(), &vector).await.unwrap().is_none());
    app.stop().await;
}
