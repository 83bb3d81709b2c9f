//! What requests ask of Redis and DynamoDB is what costs/work.toml reckons with, so that the bill cannot drift from the code.

use std::collections::BTreeMap;
use std::time::Duration;

use local::EmbeddedDynamoDb;
use serde::Deserialize;
use serde_json::json;
use shared::metrics;
use tests::{Monitor, Proxy, RedisProcess, TestApp, data};

use crate::authorizer;

/// How long nothing must have been said for the work to be over.
const QUIET: Duration = Duration::from_millis(700);
const OPERATIONS: [&str; 9] = [
    "BatchGetItem",
    "BatchWriteItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "SearchVectors",
    "TransactWriteItems",
    "UpdateItem",
];

/// The work of one request.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Work {
    /// Commands.
    redis: usize,
    /// Calls by operation.
    dynamodb: BTreeMap<String, usize>,
}

/// Counts what is said on the way to Redis and to DynamoDB.
struct Counter<'a> {
    monitor: Monitor,
    proxy: &'a Proxy,
}

impl Counter<'_> {
    /// The work that something makes, with what follows of it.
    async fn count<T>(&mut self, work: impl Future<Output = T>) -> (Work, T) {
        self.quiet().await;
        self.monitor.taken().await;
        let before = self.calls();
        let outcome = work.await;
        self.quiet().await;
        let mut commands = self.monitor.taken().await;
        commands.retain(|command| !["CLIENT", "HELLO", "SCRIPT"].iter().any(|own| command.starts_with(own)));
        let calls = self.calls().into_iter().map(|(operation, calls)| {
            let made = calls - before[&operation];
            (operation, made)
        });
        let dynamodb = calls.filter(|(_, made)| *made > 0).collect();
        (Work { redis: commands.len(), dynamodb }, outcome)
    }

    fn calls(&self) -> BTreeMap<String, usize> {
        let count = |operation: &&str| {
            let made = self.proxy.occurrences(&format!("x-amz-target: DynamoDB_20120810.{operation}\r\n"));
            ((*operation).to_owned(), made)
        };
        OPERATIONS.iter().map(count).collect()
    }

    async fn quiet(&self) {
        let mut sent = usize::MAX;
        while sent != self.proxy.sent() {
            sent = self.proxy.sent();
            tokio::time::sleep(QUIET).await;
        }
    }
}

#[test]
fn every_metric_that_is_published_is_on_the_bill() {
    let file: toml::Table = data::project_file("costs/work.toml").parse().unwrap();
    let published = metrics::cloudwatch().into_iter().filter(|metric| metric.dimension.is_none()).count();
    // One is made of the log, by filters of the template.
    let billed = file["telemetry"]["custom_metrics"].as_integer().unwrap();
    assert_eq!(usize::try_from(billed).unwrap(), published + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_ask_as_much_of_redis_and_of_the_database_as_the_bill_reckons_with() {
    let folder = tempfile::tempdir().unwrap();
    let database = EmbeddedDynamoDb::start(&folder.path().join("tables.sqlite")).await.unwrap();
    let redis = RedisProcess::start().await;
    let proxy = Proxy::start(&database.url()).await;
    let variables = [
        ("DYNAMODB_ENDPOINT", &*proxy.url()),
        ("REDIS_URL", &*redis.url()),
        ("CACHE_EARLY_REFRESH", "0"),
        ("DOOR_TRUST_MS", "60000"),
        // A busy machine may be slow, which must not make anybody ask the database instead.
        ("REDIS_TIMEOUT_MS", "20000"),
        authorizer::USAGE_KEYS,
    ];
    let app = TestApp::start_with(&variables).await;
    let ada = app.ada();
    let mut counter = Counter { monitor: Monitor::start(&redis.url()).await, proxy: &proxy };

    // Once for each, so that scripts are loaded, connections stand and records are known.
    ada.ready("ducks.md", "# Ducks\n\nDucks eat pondweed, snails and insects.").await;
    ada.search("what do ducks eat?").await;
    ada.get("/documents").await.expect(200);
    ada.post("/chat", json!({ "message": "What do ducks eat?", "stream": false })).await.expect(200);

    let mut counted = BTreeMap::new();
    let geese = b"# Geese\n\nGeese eat grass and grain.";
    let (work, id) = counter.count(ada.upload("geese.md", geese)).await;
    counted.insert("upload", work);
    // Nobody has asked for it yet, and the upload has made the list stale.
    let (work, document) = counter.count(async { ada.get(&format!("/documents/{id}")).await.expect(200) }).await;
    assert_eq!(document.body["status"], "ready", "{document:?}");
    counted.insert("document", work);
    let (work, _) = counter.count(async { ada.get("/documents").await.expect(200) }).await;
    counted.insert("list", work);
    let (work, again) = counter.count(async { ada.get("/documents").await.expect(200) }).await;
    assert!(again.header("cache-status").contains("hit"), "{:?}", again.headers);
    counted.insert("cached", work);
    let (work, found) = counter.count(ada.search("what do geese eat?")).await;
    assert!(!found.is_empty());
    counted.insert("search", work);
    let question = json!({ "message": "And what do geese eat?", "stream": false });
    let (work, _) = counter.count(async { ada.post("/chat", question).await.expect(200) }).await;
    counted.insert("chat", work);
    let function = authorizer::function(&app, &[]).await;
    let event = authorizer::event(&authorizer::token(&app));
    let (work, _) = Box::pin(counter.count(async { authorizer::ask(&function, &event).await.unwrap() })).await;
    counted.insert("authorizer", work);

    let file: toml::Table = data::project_file("costs/work.toml").parse().unwrap();
    let written: BTreeMap<&str, Work> = file["kind"]
        .as_table()
        .unwrap()
        .iter()
        .filter(|(_, kind)| kind.get("redis").is_some())
        .map(|(name, kind)| (name.as_str(), kind.clone().try_into().unwrap()))
        .collect();
    // The log of an answer is told of it at its beginning and at its end, and once more for each tenth of a second between.
    let chat = counted.get_mut("chat").unwrap();
    assert!(chat.redis >= written["chat"].redis, "{chat:?}");
    chat.redis = written["chat"].redis;
    assert_eq!(counted, written, "costs/work.toml has the latter; correct it, and the units that follow from it");
    app.stop().await;
    database.stop().await;
}
