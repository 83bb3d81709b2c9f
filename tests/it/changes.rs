//! What changes in the table makes cached answers stale, whoever changed it.

use std::time::{Duration, Instant};

use aws_lambda_events::dynamodb::Event;
use serde_json::{Value, json};
use shared::clients::{Builder, DynamoDb, Redis};
use shared::config::Variables;
use shared::tables::{self, Key};
use shared::tenancy::{CollectionId, ConversationId, MessageId, Subject, TenantId};
use shared::webhooks::WEBHOOK_QUEUE;
use tests::{RedisProcess, TestApp, data};

use crate::flow::DUCKS;

/// The longest that an epoch may lag behind a change.
const LAG: Duration = Duration::from_secs(5);

/// The database and the cache of an installation, without its API.
struct BehindTheApi {
    dynamodb: DynamoDb,
    redis: Redis,
}

impl BehindTheApi {
    async fn of(app: &TestApp) -> Self {
        let builder = Builder::new(app.running().variables().clone()).await.unwrap();
        Self { dynamodb: builder.dynamodb().unwrap(), redis: builder.redis().unwrap() }
    }

    async fn write(&self, key: Key, attribute: &str, value: &str) {
        self.dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.table)
            .set_key(Some(key.attributes()))
            .update_expression("SET #name = :value")
            .expression_attribute_names("#name", attribute)
            .expression_attribute_values(":value", tables::text(value))
            .send()
            .await
            .unwrap();
    }

    async fn epoch(&self, tenant: &TenantId, scope: &str) -> Option<String> {
        let mut command = redis::cmd("HGET");
        command.arg(format!("{{{tenant}}}:epochs")).arg(scope);
        // There is none while Redis is away.
        self.redis.query(&command).await.unwrap_or_default()
    }

    /// The epochs once no change is on its way any more.
    async fn settled(&self, tenant: &TenantId) -> [Option<String>; 4] {
        let all = async || {
            let epoch = |scope| self.epoch(tenant, scope);
            [epoch("documents").await, epoch("collections").await, epoch("search").await, epoch("users").await]
        };
        let mut before = all().await;
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let after = all().await;
            if before == after {
                return after;
            }
            before = after;
        }
    }

    /// Waits until the epoch is another one.
    async fn replaced(&self, tenant: &TenantId, scope: &str, before: Option<&String>) {
        let started = Instant::now();
        while self.epoch(tenant, scope).await.as_ref() == before {
            assert!(started.elapsed() < LAG, "{scope} of {tenant} is still {before:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_behind_the_api_replaces_the_epochs_of_its_tenant_only() {
    let app = TestApp::start().await;
    let behind = BehindTheApi::of(&app).await;
    let (acme, globex): (TenantId, TenantId) = ("acme".parse().unwrap(), "globex".parse().unwrap());
    let document = app.ada().ready("ducks.md", DUCKS).await;
    let id = document["id"].as_str().unwrap().parse().unwrap();
    behind.write(Key::collection(&globex, &CollectionId::default_collection()), "name", "Globex").await;
    let [documents, collections, search, users] = behind.settled(&acme).await;
    let others = behind.settled(&globex).await;
    assert!(documents.is_some() && others[1].is_some(), "epochs are replaced already: {documents:?}, {others:?}");

    behind.write(Key::document(&acme, id), "title", "Changed").await;
    behind.replaced(&acme, "documents", documents.as_ref()).await;
    behind.replaced(&acme, "collections", collections.as_ref()).await;
    behind.replaced(&acme, "search", search.as_ref()).await;
    assert_eq!(behind.epoch(&acme, "users").await, users);

    let conversation = ConversationId::new();
    let before = behind.settled(&acme).await;
    behind
        .write(Key::conversation(&acme, Subject::User(&"ada".parse().unwrap()), conversation), "title", "Ducks")
        .await;
    behind.write(Key::message(&acme, conversation, MessageId::new()), "text", "Quack.").await;
    assert_eq!(behind.settled(&acme).await, before, "conversations make nothing stale");
    assert_eq!(behind.settled(&globex).await, others, "another tenant's epochs stand");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_while_redis_is_away_reaches_it_when_it_is_back() {
    let mut redis = RedisProcess::start().await;
    let app = TestApp::start_with(&[("REDIS_URL", &redis.url())]).await;
    let behind = BehindTheApi::of(&app).await;
    let acme: TenantId = "acme".parse().unwrap();
    redis.kill().await;
    behind.write(Key::collection(&acme, &CollectionId::default_collection()), "name", "Behind the API").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    redis.restart().await;
    behind.replaced(&acme, "collections", None).await;
    app.stop().await;
}

/// What the handler answers to records, with a Redis that is not there.
async fn answer_without_redis(event: Value) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let blobs = format!("file://{}/objects", folder.path().display());
    let queue = format!("file://{}/queue", folder.path().display());
    let variables = [
        ("REDIS_URL", "redis://127.0.0.1:9"),
        ("DYNAMODB_ENDPOINT", "http://127.0.0.1:9"),
        ("BLOBS_URL", blobs.as_str()),
        (WEBHOOK_QUEUE, queue.as_str()),
    ];
    let builder = Builder::new(Variables::from_pairs(variables)).await.unwrap();
    let (redis, dynamodb) = (builder.redis().unwrap(), builder.dynamodb().unwrap());
    let epochs = builder.epochs(&redis, &dynamodb).unwrap();
    let state = changes::State::new(epochs, &dynamodb, builder.blobs().unwrap(), builder.queue(WEBHOOK_QUEUE).unwrap());
    let event: Event = serde_json::from_value(event).unwrap();
    serde_json::to_value(changes::handle(state, event).await).unwrap()
}

fn record(number: &str, pk: &str, sk: &str) -> Value {
    json!({
        "eventID": number, "eventName": "INSERT", "awsRegion": "us-east-1",
        "dynamodb": {
            "Keys": { "pk": { "S": pk }, "sk": { "S": sk } },
            "SequenceNumber": number, "SizeBytes": 100, "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    })
}

#[tokio::test]
async fn without_redis_the_earliest_record_that_made_something_stale_is_reported() {
    let records = [
        record("101", "T#acme#U#ada", "CONV#1"),
        record("102", "T#a hostile tenant", "DOC#01J9ZQ3W6V8Y0ABCDEFGHJKMNP"),
        record("103", "T#globex", "DOC#01J9ZQ3W6V8Y0ABCDEFGHJKMNP"),
        record("104", "T#acme", "DOC#01J9ZQ3W6V8Y0ABCDEFGHJKMNP"),
        record("105", "T#globex", "TENANT"),
    ];
    let answer = answer_without_redis(json!({ "Records": records })).await;
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "103" }] }));
}

#[tokio::test]
async fn without_redis_a_batch_that_makes_nothing_stale_is_worked_off() {
    for records in
        [vec![], vec![record("101", "T#acme#U#ada", "CONV#1"), record("102", "T#", "DOC#01J9ZQ3W6V8Y0ABCDEFGHJKMNP")]]
    {
        let answer = answer_without_redis(json!({ "Records": records })).await;
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }
}

#[tokio::test]
async fn the_sample_event_makes_its_document_stale_first() {
    let event: Value = serde_json::from_str(&data::project_file("events/changes/modified.json")).unwrap();
    let number = event["Records"][0]["dynamodb"]["SequenceNumber"].clone();
    let answer = answer_without_redis(event).await;
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": number }] }));
}
