//! Who somebody is and what they may do is known at the door, without the database.

use std::time::Duration;

use futures::future::join_all;
use local::EmbeddedDynamoDb;
use serde_json::json;
use shared::tenancy::Role;
use tests::{Proxy, TestApp};

/// The header of every request to DynamoDB.
const CALL: &str = "DynamoDB_20120810.";
/// How many requests there are, and how many of them at a time.
const REQUESTS: usize = 500;
const AT_ONCE: usize = 20;
/// How many users there are with a token and with a key; every other one is a member of the closed collection.
const USERS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_are_known_cost_no_call_of_the_database_and_a_search_only_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let database = EmbeddedDynamoDb::start(&folder.path().join("tables.sqlite")).await.unwrap();
    let proxy = Proxy::start(&database.url()).await;
    let variables = [
        ("DYNAMODB_ENDPOINT", &*proxy.url()),
        ("DOOR_TRUST_MS", "60000"),
        ("CACHE_EARLY_REFRESH", "0"),
        // A busy machine may be slow, which must not make anybody ask the database instead.
        ("REDIS_TIMEOUT_MS", "20000"),
    ];
    let app = TestApp::start_with(&variables).await;
    let owner = app.user("acme", "olga", Role::Owner);
    for (id, access) in [("open", "tenant"), ("board", "members")] {
        owner.put(&format!("/collections/{id}"), json!({ "access": access })).await.expect(200);
    }
    for collection in ["default", "open", "board"] {
        let text = format!("What ducks eat stands in {collection}.");
        let upload = owner.upload_with("ducks.md", text.as_bytes(), &[("collection", collection)]).await.expect(202);
        owner.worked_off(upload.body["document"]["id"].as_str().unwrap()).await;
    }
    let mut callers = Vec::new();
    for n in 0..USERS {
        let is_member = n % 2 == 0;
        let collections = if is_member { json!([{ "id": "board", "role": "viewer" }]) } else { json!([]) };
        let id = format!("user-{n}");
        owner.put(&format!("/users/{id}"), json!({ "role": "viewer", "collections": collections })).await.expect(201);
        let user = app.user("acme", &id, Role::Viewer);
        let key = user.post("/keys", json!({ "name": "robot" })).await.expect(201).body;
        let robot = app.bearer(key["key"].as_str().unwrap());
        callers.extend([user, robot].map(|caller| (caller, id.clone(), if is_member { 3 } else { 2 })));
    }
    for (caller, ..) in &callers {
        caller.get("/users/me").await.expect(200);
        caller.get("/documents").await.expect(200);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;

    let before = proxy.occurrences(CALL);
    let ask = async |number: usize| {
        let (caller, id, collections) = &callers[number / 2 % callers.len()];
        if number.is_multiple_of(2) {
            let caller = caller.at(&app.running().url()).with("cache-control", "no-cache");
            let me = caller.get("/users/me").await.expect(200);
            assert_eq!((&me.body["id"], me.body["collections"].as_array().unwrap().len()), (&json!(id), *collections));
        } else {
            let list = caller.get("/documents").await.expect(200);
            assert!(list.header("cache-status").contains("hit"), "{}", list.header("cache-status"));
            assert_eq!(list.body["data"].as_array().unwrap().len(), *collections);
        }
    };
    let all: Vec<usize> = (0..REQUESTS).collect();
    for some in all.chunks(AT_ONCE) {
        join_all(some.iter().map(|number| ask(*number))).await;
    }
    assert_eq!(proxy.occurrences(CALL), before, "calls of the database in {REQUESTS} requests");

    let count = |operation: &str| proxy.occurrences(&format!("{CALL}{operation}"));
    let (searches, batches, terms) = (count("SearchVectors"), count("BatchGetItem"), count("Query"));
    let mut expected = 0;
    for (number, (caller, _, collections)) in callers.iter().enumerate() {
        // A query of its own, so that nobody gets the answer of another.
        let found = caller.search(&format!("what do {number} ducks eat?")).await;
        assert_eq!(found.len(), *collections, "{found:?}");
        expected += collections;
    }
    assert_eq!(count("SearchVectors") - searches, expected, "one for each collection that the caller may read");
    assert_eq!(count("BatchGetItem") - batches, callers.len(), "one for the documents behind the hits");
    assert_eq!(count("Query") - terms, expected, "one in each collection for the number, which is an uncommon word");
    assert_eq!(proxy.occurrences(CALL) - before, 2 * expected + callers.len(), "and no other");
    app.stop().await;
    database.stop().await;
}
