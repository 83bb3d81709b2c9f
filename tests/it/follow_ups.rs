//! What follows from a change is done in the end, once, and to what it was meant for, however often and however late its
//! record comes.

use aws_lambda_events::dynamodb::Event;
use local::EmbeddedDynamoDb;
use serde_json::{Value, json};
use shared::clients::{Builder, DynamoDb};
use shared::config::Variables;
use shared::documents::Documents;
use shared::tables;
use shared::tenancy::{DocumentId, Role, Subject, TenantId};
use shared::webhooks::WEBHOOK_QUEUE;
use tempfile::TempDir;
use tests::{Proxy, TestApp, User};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::flow::DUCKS;

const TRANSACTION: &str = "DynamoDB_20120810.TransactWriteItems";
const BATCH: &str = "DynamoDB_20120810.BatchWriteItem";

/// An installation whose stream nobody reads but the test, and the function with a way of its own to the database.
struct Scene {
    app: TestApp,
    changes: changes::State,
    way: Proxy,
    dynamodb: DynamoDb,
    database: EmbeddedDynamoDb,
    _tables: TempDir,
}

impl Scene {
    async fn begin() -> Self {
        let tables = tempfile::tempdir().unwrap();
        let database = EmbeddedDynamoDb::start(&tables.path().join("tables")).await.unwrap();
        let app = TestApp::start_with(&[("DYNAMODB_ENDPOINT", &database.url())]).await;
        let way = Proxy::start(&database.url()).await;
        let broken = Variables::from_pairs([("DYNAMODB_ENDPOINT", way.url())]).or(app.running().variables());
        let builder = Builder::new(broken).await.unwrap();
        let behind = builder.dynamodb().unwrap();
        let epochs = builder.epochs(&builder.redis().unwrap(), &behind).unwrap();
        let changes =
            changes::State::new(epochs, &behind, builder.blobs().unwrap(), builder.queue(WEBHOOK_QUEUE).unwrap());
        let dynamodb = Builder::new(app.running().variables().clone()).await.unwrap().dynamodb().unwrap();
        Self { app, changes, way, dynamodb, database, _tables: tables }
    }

    async fn end(self) {
        self.app.stop().await;
        self.database.stop().await;
    }

    fn owner(&self) -> User<'_> {
        self.app.user("acme", "olga", Role::Owner)
    }

    /// Delivers records; the number of the first that is to come again.
    async fn deliver(&self, records: &[Value]) -> Option<String> {
        let event: Event = serde_json::from_value(json!({ "Records": records })).unwrap();
        let answer = changes::handle(self.changes.clone(), event).await;
        answer.batch_item_failures.first().map(|failure| failure.item_identifier.clone().unwrap())
    }

    /// Delivers records while the function loses what it says after so many such calls, then again.
    async fn deliver_in_two(&self, records: &[Value], calls: usize, operation: &str) {
        self.way.lose_after(calls, operation);
        assert!(self.deliver(records).await.is_some(), "{operation}: it was told that all went well");
        self.way.lose_nothing();
        assert_eq!(self.deliver(records).await, None, "{operation}");
    }

    /// How many items a partition has.
    async fn count(&self, table: &str, partition: String) -> i32 {
        let query = self.dynamodb.client.query().table_name(table).key_condition_expression("pk = :pk");
        query.expression_attribute_values(":pk", tables::text(partition)).send().await.unwrap().count
    }

    async fn passages(&self, document: &str) -> i32 {
        let partition = tables::document_partition(&acme(), document.parse().unwrap());
        self.count(&self.dynamodb.chunks_table, partition).await
    }

    async fn conversations(&self, subject: Subject<'_>) -> i32 {
        self.count(&self.dynamodb.table, tables::conversations_partition(&acme(), subject)).await
    }

    fn has_original(&self, document: &str) -> bool {
        self.app.folder().join(format!("objects/t/acme/{document}/1/original")).exists()
    }

    async fn documents_in(&self, collection: &str) -> Vec<DocumentId> {
        let documents = Documents::new(&self.dynamodb);
        documents.ids_in(&acme(), &collection.parse().unwrap(), usize::MAX).await.unwrap()
    }

    /// The collection `board` with ada as a member, and so many documents of hers.
    async fn board(&self, documents: usize) -> Vec<String> {
        self.owner().put("/collections/board", json!({ "access": "members" })).await.expect(200);
        let put = json!({ "role": "editor", "collections": [{ "id": "board", "role": "editor" }] });
        self.owner().put("/users/ada", put).await;
        let mut ids = Vec::new();
        for n in 0..documents {
            let text = format!("{DUCKS}\n{n}\n");
            let upload = self.app.ada().upload_with("ducks.md", text.as_bytes(), &[("collection", "board")]).await;
            let id = upload.expect(202).body["document"]["id"].as_str().unwrap().to_owned();
            assert_eq!(self.app.ada().worked_off(&id).await["status"], "ready");
            ids.push(id);
        }
        ids
    }

    async fn chat(&self, user: &User<'_>) -> String {
        let chat = user.post("/chat", json!({ "message": "ducks?", "stream": false })).await.expect(200).body;
        chat["conversation_id"].as_str().unwrap().to_owned()
    }
}

fn acme() -> TenantId {
    "acme".parse().unwrap()
}

fn record(number: u32, name: &str, pk: &str, sk: &str, before: &Value, after: &Value) -> Value {
    json!({
        "eventID": format!("{number:032x}"), "eventName": name, "awsRegion": "us-east-1",
        "dynamodb": {
            "Keys": { "pk": { "S": pk }, "sk": { "S": sk } },
            "OldImage": before, "NewImage": after, "ApproximateCreationDateTime": 1_795_000_000.0 + f64::from(number),
            "SequenceNumber": number.to_string(), "SizeBytes": 100, "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    })
}

fn deleted_collection() -> Value {
    let after = json!({ "deleted_at": { "S": "2026-11-24T00:00:00Z" } });
    record(1, "MODIFY", "T#acme", "COLLECTION#board", &json!({}), &after)
}

/// Ada was removed just now.
fn removed_user() -> Value {
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap();
    let after = json!({ "removed_at": { "S": now }, "version": { "N": "2" } });
    record(1, "MODIFY", "T#acme", "USER#ada", &json!({ "version": { "N": "1" } }), &after)
}

fn removed_document(number: u32, id: &str) -> Value {
    let before = json!({ "size_bytes": { "N": "10" }, "version": { "N": "1" } });
    record(number, "REMOVE", "T#acme", &format!("DOC#{id}"), &before, &json!({}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_comes_again_is_not_counted_again() {
    let scene = Scene::begin().await;
    let document = "DOC#01J9ZQ3W6V8Y0ABCDEFGHJKMNP";
    let with = |tokens: &str| json!({ "size_bytes": { "N": "10" }, "embedded_tokens": { "N": tokens } });
    let records = [
        record(1, "INSERT", "T#acme", document, &json!({}), &with("0")),
        record(2, "MODIFY", "T#acme", document, &with("0"), &with("7")),
    ];
    // The second addition fails, so everything from there on comes again; then all of it does.
    scene.way.lose_after(1, TRANSACTION);
    assert_eq!(scene.deliver(&records).await.as_deref(), Some("2"));
    scene.way.lose_nothing();
    assert_eq!(scene.deliver(&records[1..]).await, None);
    for _ in 0..2 {
        assert_eq!(scene.deliver(&records).await, None);
    }
    let usage = scene.owner().get("/usage?period=2026-11").await.expect(200).body;
    let seen = ["documents", "storage_bytes", "embedded_tokens"].map(|name| usage[name].as_i64());
    assert_eq!(seen, [1, 10, 7].map(Some), "{usage}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_breaks_off_is_finished_when_its_record_comes_again() {
    let scene = Scene::begin().await;
    let documents = scene.board(3).await;
    scene.owner().delete("/collections/board").await.expect(202);
    scene.deliver_in_two(&[deleted_collection()], 1, TRANSACTION).await;
    assert_eq!(scene.documents_in("board").await, []);
    assert_eq!(scene.owner().get("/users/ada").await.expect(200).body["collections"], json!([]));

    let records: Vec<Value> = (2..).zip(&documents).map(|(number, id)| removed_document(number, id)).collect();
    scene.deliver_in_two(&records, 1, BATCH).await;
    for id in &documents {
        assert_eq!((scene.passages(id).await, scene.has_original(id)), (0, false), "{id}");
    }
    // Their bytes are as new.
    scene.owner().put("/collections/board", json!({})).await.expect(200);
    let bytes = format!("{DUCKS}\n0\n");
    let upload = scene.owner().upload_with("ducks.md", bytes.as_bytes(), &[("collection", "board")]).await;
    assert_eq!(upload.expect(202).body["duplicate"], false);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_removed_user_and_their_keys_left_is_purged_in_the_end() {
    let scene = Scene::begin().await;
    let ada = scene.app.ada();
    let mut keys = Vec::new();
    for _ in 0..3 {
        let key = ada.post("/keys", json!({ "name": "robot" })).await.expect(201).body;
        scene.chat(&scene.app.bearer(key["key"].as_str().unwrap())).await;
        keys.push(key["id"].as_str().unwrap().to_owned());
    }
    let talk = scene.chat(&ada).await.parse().unwrap();
    let bob = scene.app.user("acme", "bob", Role::Editor);
    bob.post("/keys", json!({ "name": "another" })).await.expect(201);
    scene.chat(&bob).await;

    scene.owner().delete("/users/ada").await.expect(204);
    scene.deliver_in_two(&[removed_user()], 1, TRANSACTION).await;
    let left = scene.owner().get("/keys").await.expect(200).body;
    assert_eq!((&left["data"][0]["created_by"], left["data"].as_array().unwrap().len()), (&json!("bob"), 1));
    assert_eq!(scene.conversations(Subject::User(&"ada".parse().unwrap())).await, 0);
    assert_eq!(scene.count(&scene.dynamodb.table, tables::conversation_partition(&acme(), talk)).await, 0);
    assert_eq!(scene.conversations(Subject::User(&"bob".parse().unwrap())).await, 1);

    let sk = |id: &String| format!("APIKEY#{id}");
    let records =
        (2..).zip(&keys).map(|(number, id)| record(number, "REMOVE", "T#acme", &sk(id), &json!({}), &json!({})));
    let records: Vec<Value> = records.collect();
    scene.deliver_in_two(&records, 1, BATCH).await;
    for id in &keys {
        assert_eq!(scene.conversations(Subject::Key(id.parse().unwrap())).await, 0);
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_invited_again_gets_nothing_back_and_loses_nothing_new() {
    let scene = Scene::begin().await;
    let ada = scene.app.ada();
    let make = async |name: &str| ada.post("/keys", json!({ "name": name })).await.expect(201).body;
    let (old, talk) = (make("old").await, scene.chat(&ada).await);
    let old = scene.app.bearer(old["key"].as_str().unwrap());
    old.get("/users/me").await.expect(200);
    scene.owner().delete("/users/ada").await.expect(204);
    let removed = [removed_user()];
    scene.owner().put("/users/ada", json!({ "role": "editor" })).await.expect(201);
    // The record of the removal is still on its way.
    old.get("/users/me").await.expect(401);
    let new = make("new").await;
    let new = scene.app.bearer(new["key"].as_str().unwrap());
    let new_talk = scene.chat(&ada).await;
    for _ in 0..2 {
        assert_eq!(scene.deliver(&removed).await, None);
        ada.get(&format!("/conversations/{talk}")).await.expect(404);
        ada.get(&format!("/conversations/{new_talk}")).await.expect(200);
        let keys = ada.get("/keys").await.expect(200).body;
        assert_eq!((&keys["data"][0]["name"], keys["data"].as_array().unwrap().len()), (&json!("new"), 1));
        new.get("/users/me").await.expect(200);
        old.get("/users/me").await.expect(401);
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_made_again_has_nothing_of_the_one_before_and_loses_nothing_to_its_end() {
    let scene = Scene::begin().await;
    scene.board(0).await;
    scene.owner().delete("/collections/board").await.expect(202);
    // Ada would be a member of the new one, too.
    scene.owner().put("/collections/board", json!({ "access": "members" })).await.expect(409);
    assert_eq!(scene.deliver(&[deleted_collection()]).await, None);
    let documents = scene.board(1).await;
    for _ in 0..2 {
        assert_eq!(scene.deliver(&[deleted_collection()]).await, None);
        assert_eq!(scene.documents_in("board").await.len(), 1);
        scene.app.ada().get(&format!("/documents/{}", documents[0])).await.expect(200);
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_deleted_collection_is_in_no_list() {
    let scene = Scene::begin().await;
    let documents = scene.board(2).await;
    let bob = scene.app.user("acme", "bob", Role::Viewer);
    scene.owner().delete("/collections/board").await.expect(202);
    for somebody in [&scene.owner(), &scene.app.ada(), &bob] {
        for list in ["/documents", "/documents?status=ready", "/documents?limit=1", "/documents?collection=board"] {
            let page = somebody.get(list).await.expect(200).body;
            assert_eq!((&page["data"], &page["next_cursor"]), (&json!([]), &Value::Null), "{list}");
        }
        somebody.get(&format!("/documents/{}", documents[0])).await.expect(404);
        somebody.get(&format!("/documents/{}/content", documents[0])).await.expect(404);
        assert!(somebody.search("what do ducks eat?").await.is_empty());
    }
    scene.end().await;
}
