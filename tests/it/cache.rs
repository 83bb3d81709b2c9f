//! Cached answers: what they cost, when they are served, and to whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::future::join_all;
use http::Request;
use local::EmbeddedDynamoDb;
use reqwest::Method;
use serde_json::{Value, json};
use shared::clients::Builder;
use shared::door::Scope;
use shared::http::boundary;
use shared::tables::Key;
use shared::tenancy::{Principal, Role};
use tests::{Monitor, Proxy, TestApp, data};
use tower::ServiceExt;

use crate::flow::DUCKS;

/// Waits until the stream has told the cache again of what was changed, which makes the next answer new.
async fn told_again() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// The header of every request to DynamoDB.
const DYNAMODB_CALL: &str = "DynamoDB_20120810.";

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_answer_costs_one_script_for_the_tenant_one_for_the_address_and_no_call_of_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let database = EmbeddedDynamoDb::start(&folder.path().join("tables.sqlite")).await.unwrap();
    let proxy = Proxy::start(&database.url()).await;
    // On a busy machine more than the usual two seconds may pass between a request and the same again.
    let variables = [("DYNAMODB_ENDPOINT", proxy.url()), ("DOOR_TRUST_MS", "60000".to_owned())];
    let app = TestApp::start_with(&variables.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
    let ada = app.ada();
    ada.ready("ducks.md", DUCKS).await;
    told_again().await;
    let mut redis = Monitor::start(app.redis_url()).await;
    let search = json!({ "query": "what do ducks eat?" });
    let ask = async |path: &str| match path {
        "/search" => ada.post(path, search.clone()).await.expect(200),
        _ => ada.get(path).await.expect(200),
    };
    for path in ["/documents", "/search"] {
        // So that all but the answer itself is warm.
        ada.get("/collections").await.expect(200);
        redis.taken().await;
        let calls = proxy.occurrences(DYNAMODB_CALL);
        let first = ask(path).await;
        assert_eq!(first.header("cache-status"), "ragline; fwd=miss; stored", "{path}");
        let commands: Vec<String> = redis.taken().await.into_iter().filter(|c| !c.contains(":embedding:")).collect();
        let (scripts, fill): (Vec<_>, Vec<_>) = commands.iter().partition(|command| command.contains("bucket"));
        assert_eq!((scripts.len(), fill.len()), (2, 1), "{path}: the scripts and one fill: {commands:?}");
        assert!(proxy.occurrences(DYNAMODB_CALL) > calls, "{path}: the work");

        let calls = proxy.occurrences(DYNAMODB_CALL);
        let again = ask(path).await;
        assert!(again.header("cache-status").starts_with("ragline; hit; ttl="), "{}", again.header("cache-status"));
        assert_eq!(again.body, first.body);
        let mut commands = redis.taken().await;
        commands.sort();
        let keys: Vec<&str> = commands.iter().filter_map(|command| command.strip_prefix("EVALSHA ")).collect();
        assert_eq!(keys, ["{acme}:bucket", "{ip:127.0.0.1}:bucket"], "{path}: {commands:?}");
        assert_eq!(commands.len(), 2, "{path}: {commands:?}");
        assert_eq!(proxy.occurrences(DYNAMODB_CALL), calls, "{path}: no call of the database");
    }
    app.stop().await;
    database.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_seen_by_the_next_read_whatever_was_cached() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let id = ada.ready("ducks.md", DUCKS).await["id"].as_str().unwrap().to_owned();
    let path = format!("/documents/{id}");
    let paths = [path.as_str(), "/documents", "/collections", "/users/me"];
    for _ in 0..2 {
        for path in paths {
            ada.get(path).await.expect(200);
        }
        ada.search("what do ducks eat?").await;
    }
    ada.call(Method::PATCH, &path, &json!({ "filename": "geese.md" })).await.expect(200);
    assert_eq!(ada.get(&path).await.expect(200).body["filename"], "geese.md");
    assert_eq!(ada.get("/documents").await.expect(200).body["data"][0]["filename"], "geese.md");
    assert_eq!(ada.search("what do ducks eat?").await[0]["filename"], "geese.md");

    let admin = app.user("acme", "root", Role::Admin);
    admin.call(Method::PUT, "/collections/birds", &json!({})).await.expect(200);
    assert_eq!(ada.get("/collections").await.body["data"][0]["id"], "birds");
    assert_eq!(ada.get("/users/me").await.body["collections"][0]["id"], "birds");
    ada.call(Method::PATCH, "/users/me", &json!({ "name": "Ada L." })).await.expect(200);
    assert_eq!(ada.get("/users/me").await.body["name"], "Ada L.");
    ada.call(Method::PATCH, "/users/me", &json!({ "name": " " })).await.expect(400);

    ada.delete(&path).await.expect(202);
    ada.get(&path).await.expect(404);
    assert_eq!(ada.get("/documents").await.expect(200).body["data"], json!([]));
    assert!(ada.search("what do ducks eat?").await.is_empty());
    assert_eq!(ada.get("/collections").await.body["data"][1]["document_count"], 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_answer_is_told_so_until_it_changes() {
    let app = TestApp::start().await;
    let id = app.ada().ready("ducks.md", DUCKS).await["id"].as_str().unwrap().to_owned();
    let path = format!("/documents/{id}");
    told_again().await;
    let first = app.ada().get(&path).await.expect(200);
    let etag = first.header("etag").to_owned();
    assert!(etag.starts_with('"') && first.header("cache-control") == "private, no-cache", "{:?}", first.headers);
    let again = app.ada().with("if-none-match", &etag).get(&path).await.expect(304);
    assert_eq!((again.body.clone(), again.header("etag")), (Value::Null, etag.as_str()));
    assert!(again.header("cache-status").contains("hit"));
    assert!(!again.header("ratelimit").is_empty());
    app.ada().call(Method::PATCH, &path, &json!({ "filename": "geese.md" })).await.expect(200);
    let changed = app.ada().with("if-none-match", &etag).get(&path).await.expect(200);
    assert!(changed.header("cache-status").starts_with("ragline; fwd=stale"), "{:?}", changed.headers);
    assert_ne!(changed.header("etag"), etag);
    // A search is no resource that one could have.
    let search = app.ada().with("if-none-match", "*").post("/search", json!({ "query": "ducks" })).await;
    search.expect(200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_may_ask_for_a_new_answer_or_for_none_to_be_stored() {
    let app = TestApp::start().await;
    let status = async |directive: &str| {
        let answer = app.ada().with("cache-control", directive).get("/documents").await.expect(200);
        answer.header("cache-status").to_owned()
    };
    assert_eq!(status("no-store").await, "");
    assert_eq!(status("max-age=0").await, "ragline; fwd=miss; stored", "nothing was stored before");
    assert!(status("max-age=0").await.contains("hit"));
    assert_eq!(status("no-cache").await, "ragline; fwd=request; stored");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_not_stored() {
    let app = TestApp::start().await;
    for _ in 0..2 {
        let unknown = app.ada().get("/documents/01J9ZQ3W6V8Y0ABCDEFGHJKMNP").await.expect(404);
        assert_eq!(unknown.header("cache-status"), "ragline; fwd=miss");
        let wrong = app.ada().post("/search", json!({ "query": "" })).await.expect(400);
        assert_eq!(wrong.header("cache-status"), "ragline; fwd=miss");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_headers_queries_and_bodies_are_refused_or_ignored() {
    let app = TestApp::start().await;
    let long = "x".repeat(10_000);
    let commas = ",".repeat(8_000);
    for hostile in ["", ",", "\"", "W/", "*, *", "999.999.999.999", "::::::", "' OR 1=1 --", &long, &commas] {
        let ada = app.ada().with("x-forwarded-for", hostile).with("if-none-match", hostile);
        let answer = ada.with("cache-control", hostile).get("/documents").await;
        assert!([200, 304].contains(&answer.status.as_u16()), "{}: {}", hostile.len(), answer.body);
    }
    for query in ["%00", "limit=1%00", "limit=%ff", "a=b&a=b", &"&".repeat(5_000), &format!("cursor={long}")] {
        let answer = app.ada().get(&format!("/documents?{query}")).await;
        assert!([200, 400].contains(&answer.status.as_u16()), "{query:.20}: {}", answer.body);
    }
    let ada = app.ada();
    let deep = "[".repeat(100_000);
    for body in ["", "{", "null", "[]", "\u{0}", &deep] {
        let response = ada.send(Method::POST, "/search", "application/json", body.as_bytes().to_vec()).await;
        assert_eq!(response.status(), 400, "{body:.20}");
    }
    for size in [262_145, 3_000_000] {
        let body = format!("{{\"query\": \"{}\"}}", "x".repeat(size));
        let response = ada.send(Method::POST, "/search", "application/json", body.into_bytes()).await;
        assert_eq!(response.status(), 413);
        assert!(response.headers().contains_key("ratelimit"), "it counts");
    }
    ada.get("/documents").await.expect(200);
    app.stop().await;
}

/// Routes of a test behind a real door: `/who` says whom it sees, `/large` and `/secret` may not be stored.
async fn routes_of_a_test(app: &TestApp, computed: &Arc<AtomicUsize>) -> Router {
    let builder = Builder::new(app.running().variables().clone()).await.unwrap();
    let door = builder.door(&builder.dynamodb().unwrap(), &builder.redis().unwrap()).unwrap();
    let guard = || door.reads(Scope::Documents).cached(Duration::from_secs(30));
    let computed = Arc::clone(computed);
    let who = async move |principal: Principal| {
        computed.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(60)).await;
        axum::Json(json!({ "user": principal.user, "role": principal.role, "tenant": principal.tenant }))
    };
    let echo = async |body: String| axum::Json(body);
    let large = async || axum::Json("x".repeat(262_144));
    let secret = async || ([("cache-control", "no-store")], axum::Json("secret")).into_response();
    boundary(
        Router::new()
            .route("/who", get(who.clone()).route_layer(guard()))
            .route("/me", get(who).route_layer(guard().personal()))
            .route("/echo", post(echo).route_layer(guard()))
            .route("/large", get(large).route_layer(guard()))
            .route("/secret", get(secret).route_layer(guard())),
    )
}

async fn ask(router: &Router, app: &TestApp, (tenant, user, role): (&str, &str, Role), path: &str) -> Response {
    let request = Request::get(path).header("authorization", format!("Bearer {}", app.token(tenant, user, role)));
    router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn body(response: Response) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_share_an_answer_only_if_their_permissions_are_the_same() {
    let app = TestApp::start().await;
    let router = routes_of_a_test(&app, &Arc::default()).await;
    let who = async |tenant, user, role, path| body(ask(&router, &app, (tenant, user, role), path).await).await;
    assert_eq!(who("acme", "ada", Role::Viewer, "/who").await["user"], "ada");
    assert_eq!(who("acme", "bob", Role::Viewer, "/who").await["user"], "ada", "the same permissions, the same answer");
    for role in [Role::Editor, Role::Admin, Role::Owner] {
        assert_eq!(who("acme", "eve", role, "/who").await["user"], "eve", "{role:?}");
    }
    assert_eq!(who("globex", "mal", Role::Viewer, "/who").await["tenant"], "globex");
    assert_eq!(who("acme", "ada", Role::Viewer, "/me").await["user"], "ada");
    assert_eq!(who("acme", "bob", Role::Viewer, "/me").await["user"], "bob", "a personal answer is shared with nobody");

    // A role that is stored wins over the token's, and moves its user to other answers at once.
    let builder = Builder::new(app.running().variables().clone()).await.unwrap();
    let dynamodb = builder.dynamodb().unwrap();
    let mut item = Key::user(&"acme".parse().unwrap(), &"bob".parse().unwrap()).attributes();
    item.insert("role".to_owned(), shared::tables::text("admin"));
    item.insert("version".to_owned(), aws_sdk_dynamodb::types::AttributeValue::N("1".to_owned()));
    dynamodb.client.put_item().table_name(&dynamodb.table).set_item(Some(item)).send().await.unwrap();
    let epochs = builder.epochs(&builder.redis().unwrap(), &dynamodb).unwrap();
    epochs.changed(&"acme".parse().unwrap(), &[Scope::Users]).await.unwrap();
    assert_eq!(who("acme", "bob", Role::Viewer, "/who").await["user"], "eve", "the answer of admins");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_not_to_be_stored_is_not() {
    let app = TestApp::start().await;
    let router = routes_of_a_test(&app, &Arc::default()).await;
    for path in ["/large", "/secret"] {
        for _ in 0..2 {
            let response = ask(&router, &app, ("acme", "ada", Role::Viewer), path).await;
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["cache-status"], "ragline; fwd=miss", "{path}");
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_want_the_same_wait_for_one_that_computes_it() {
    // A busy machine may be slow, which must not make anybody give up waiting.
    let patient = [("CACHE_WAIT_MS", "20000"), ("CACHE_LEASE_MS", "60000"), ("REDIS_TIMEOUT_MS", "20000")];
    let app = TestApp::start_with(&patient).await;
    let computed = Arc::new(AtomicUsize::new(0));
    // Two doors: as in two processes, which share nothing but the cache.
    let routers = [routes_of_a_test(&app, &computed).await, routes_of_a_test(&app, &computed).await];
    let callers = (0..40).map(|n| ask(&routers[n % 2], &app, ("acme", "ada", Role::Viewer), "/who"));
    let mut statuses = Vec::new();
    for response in join_all(callers).await {
        assert_eq!(response.status(), 200);
        statuses.push(response.headers()["cache-status"].to_str().unwrap().to_owned());
    }
    assert_eq!(computed.load(Ordering::Relaxed), 1, "{statuses:?}");
    assert!(statuses.iter().any(|status| status.contains("collapsed")), "{statuses:?}");
    assert!(statuses.iter().any(|status| status.contains("hit")), "{statuses:?}");
    app.stop().await;
}

/// Numbers from 0 that follow Zipf's law: the n-th is asked for in proportion to 1 / n.
struct Zipf {
    cumulated: Vec<f64>,
    state: u64,
}

impl Zipf {
    fn new(numbers: u32) -> Self {
        let mut sum = 0.0;
        let cumulated = (1..=numbers).map(|n| {
            sum += 1.0 / f64::from(n);
            sum
        });
        Self { cumulated: cumulated.collect(), state: 0x9E37_79B9_7F4A_7C15 }
    }

    /// A number between 0 and 1 (xorshift64*).
    fn uniform(&mut self) -> f64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn next(&mut self) -> usize {
        let point = self.uniform() * self.cumulated.last().unwrap();
        self.cumulated.partition_point(|sum| *sum < point)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_reads_that_follow_zipf_with_two_percent_writes_most_are_served_from_the_cache() {
    const DOCUMENTS: u32 = 1_000;
    const REQUESTS: usize = 4_000;
    const TENANTS: u32 = 10;
    let app = TestApp::start().await;
    let builder = Builder::new(app.running().variables().clone()).await.unwrap();
    let documents = data::stored_documents(&builder.dynamodb().unwrap(), DOCUMENTS, TENANTS).await;
    let users: Vec<_> = (0..TENANTS).map(|n| app.user(&format!("tenant-{n}"), "ada", Role::Editor)).collect();
    let mut zipf = Zipf::new(DOCUMENTS);
    let (mut reads, mut hits) = (0_u32, 0_u32);
    for _ in 0..REQUESTS {
        let (tenant, id) = &documents[zipf.next()];
        let path = format!("/documents/{id}");
        if zipf.uniform() < 0.02 {
            users[*tenant].call(Method::PATCH, &path, &json!({ "filename": "new.txt" })).await.expect(200);
        } else {
            reads += 1;
            hits += u32::from(users[*tenant].get(&path).await.expect(200).header("cache-status").contains("hit"));
        }
    }
    let rate = f64::from(hits) / f64::from(reads);
    println!("hit rate {:.1} % of {reads} reads", rate * 100.0);
    assert!(rate > 0.7, "{rate}");
    app.stop().await;
}
