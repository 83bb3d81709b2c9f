//! Where tenants have sessions, whatever is a tenant's is asked for by its own session: a wrong key would be refused by IAM.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lambda_events::dynamodb::Event;
use futures::future::join_all;
use local::EmbeddedDynamoDb;
use reqwest::Method;
use serde_json::{Value, json};
use shared::clients::Builder;
use shared::tenancy::Role;
use shared::webhooks::WEBHOOK_QUEUE;
use tempfile::TempDir;
use tests::{Answering, Meter, Signed, Sts, TestApp, User};

use crate::flow::DUCKS;

/// Who signs for the deployment.
const DEPLOYMENT: &str = "emulator";
/// What the deployment asks for itself: the tables, which it makes here; whose an API key is; whether the table answers.
const OWN: [&str; 5] = ["CreateTable", "DescribeTable", "GetItem HEALTH", "GetItem KEY", "ListTables"];

/// An installation with sessions, on the way of which to the database it is seen who signs.
struct Scene {
    app: TestApp,
    meter: Meter,
    sts: Sts,
    database: EmbeddedDynamoDb,
    _tables: TempDir,
}

impl Scene {
    async fn begin() -> Self {
        let tables = tempfile::tempdir().unwrap();
        let database = EmbeddedDynamoDb::start(&tables.path().join("tables")).await.unwrap();
        let (meter, sts) = (Meter::start(&database.url()).await, Sts::start().await);
        let variables = [
            ("DYNAMODB_ENDPOINT", meter.url()),
            ("TENANT_ROLE_ARN", Sts::ROLE),
            ("STS_ENDPOINT", sts.url()),
            // Each request asks the database whether the cache may be believed.
            ("DOOR_TRUST_MS", "1"),
        ];
        let app = TestApp::start_with(&variables).await;
        Self { app, meter, sts, database, _tables: tables }
    }

    async fn end(self) {
        self.app.stop().await;
        self.database.stop().await;
    }

    /// What `changes` does when a document is gone, beside one of another tenant.
    async fn documents_are_gone(&self, documents: &[(&str, &str)]) {
        let builder = Builder::new(self.app.running().variables().clone()).await.unwrap();
        let (dynamodb, redis) = (builder.dynamodb().unwrap(), builder.redis().unwrap());
        let (blobs, queue) = (builder.blobs().unwrap(), builder.queue(WEBHOOK_QUEUE).unwrap());
        let state = changes::State::new(builder.epochs(&redis, &dynamodb).unwrap(), &dynamodb, blobs, queue);
        let records = documents.iter().enumerate().map(|(number, (tenant, id))| {
            let before = json!({ "size_bytes": { "N": "10" }, "version": { "N": "1" } });
            json!({
                "eventID": format!("{number:032x}"), "eventName": "REMOVE", "awsRegion": "us-east-1",
                "dynamodb": {
                    "Keys": { "pk": { "S": format!("T#{tenant}") }, "sk": { "S": format!("DOC#{id}") } },
                    "OldImage": before, "NewImage": {}, "ApproximateCreationDateTime": 1_795_000_000.0,
                    "SequenceNumber": number.to_string(), "SizeBytes": 100,
                },
            })
        });
        let event: Event = serde_json::from_value(json!({ "Records": records.collect::<Vec<_>>() })).unwrap();
        assert_eq!(changes::handle(state, event).await.batch_item_failures, []);
    }
}

/// The tenants whose keys stand in a request, in the partitions of items or in the scopes of passages.
fn tenants_in(asked: &Value) -> BTreeSet<String> {
    match asked {
        Value::String(text) => {
            let tenant = text.strip_prefix("T#").map(|rest| rest.split('#').next().unwrap_or_default());
            let scope = text.strip_suffix("#default").filter(|tenant| !tenant.contains('#'));
            tenant.or(scope).map(str::to_owned).into_iter().collect()
        }
        Value::Array(parts) => parts.iter().flat_map(tenants_in).collect(),
        Value::Object(members) => members.values().flat_map(tenants_in).collect(),
        _ => BTreeSet::new(),
    }
}

/// What the deployment signed; each request of a tenant must be signed by a session of this tenant.
#[track_caller]
fn signed_by_the_deployment(signed: &[Signed]) -> BTreeSet<String> {
    let mut own = BTreeSet::new();
    for Signed { operation, signer, asked } in signed {
        let tenants = tenants_in(asked);
        if signer == DEPLOYMENT {
            assert_eq!(tenants, BTreeSet::new(), "the deployment asks {operation} {asked}");
            let pk = asked["Key"]["pk"]["S"].as_str().unwrap_or_default().split('#').next().unwrap_or_default();
            own.insert(format!("{operation} {pk}").trim().to_owned());
        } else {
            let session = signer.split('.').next().unwrap();
            assert_eq!(tenants, [session.to_owned()].into(), "{signer} asks {operation} {asked}");
        }
    }
    own
}

/// All that a tenant can do.
async fn live(app: &TestApp, tenant: &'static str) -> String {
    let (owner, ada) = (app.user(tenant, "olga", Role::Owner), app.user(tenant, "ada", Role::Editor));
    owner.put("/collections/board", json!({ "access": "members" })).await.expect(200);
    let document = ada.ready("ducks.md", DUCKS).await["id"].as_str().unwrap().to_owned();
    ada.upload_with("pond.md", b"# Pond\n\nThe pond XK-42 is deep.", &[("document_id", &document)]).await.expect(202);
    ada.worked_off(&document).await;
    let announced = json!({ "filename": "late.md", "content_type": "text/markdown", "size_bytes": 12 });
    ada.post("/documents/upload", announced).await.expect(201);
    for path in ["/documents", "/collections", "/users/me", "/conversations"] {
        ada.get(path).await.expect(200);
    }
    for part in ["", "/chunks", "/text"] {
        ada.get(&format!("/documents/{document}{part}")).await.expect(200);
    }
    assert!(!ada.search("how deep is the pond XK-42?").await.is_empty());
    // The answer is made while it is read, and by another task.
    let events = Answering::ask(&ada, json!({ "message": "How deep is the pond?" })).await.to_end().await;
    assert_eq!(Answering::finish_reason(&events), "stop", "{events:?}");
    let key = owner.post("/keys", json!({ "name": "robot", "role": "editor" })).await.expect(201).body;
    app.bearer(key["key"].as_str().unwrap()).get("/documents").await.expect(200);
    owner.delete(&format!("/keys/{}", key["id"].as_str().unwrap())).await.expect(204);
    let hook = json!({ "url": "http://127.0.0.1:9/hook", "events": ["document.deleted"] });
    owner.put("/webhooks/crm", hook).await.expect(201);
    owner.post("/webhooks/crm/test", Value::Null).await.expect(202);
    owner.put("/users/carl", json!({ "role": "viewer" })).await.expect(201);
    for path in ["/users", "/keys", "/webhooks/crm/deliveries", "/usage", "/audit"] {
        owner.get(path).await.expect(200);
    }
    app.user("platform", "root", Role::Operator)
        .put(&format!("/tenants/{tenant}"), json!({ "name": tenant }))
        .await
        .expect(200);
    ada.call(Method::DELETE, &format!("/documents/{document}"), &Value::Null).await.expect(202);
    document
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_a_tenants_is_signed_by_its_session_while_others_are_at_work() {
    let scene = Scene::begin().await;
    let tenants = ["acme", "globex", "initech"];
    let gone = join_all(tenants.map(|tenant| live(&scene.app, tenant))).await;
    let gone: Vec<_> = tenants.into_iter().zip(gone.iter().map(String::as_str)).collect();
    let before = scene.sts.asked().len();
    scene.documents_are_gone(&gone).await;
    let signed = scene.meter.signed();
    assert!(signed.len() > 300, "{} requests", signed.len());
    let own = signed_by_the_deployment(&signed);
    assert_eq!(own, OWN.map(str::to_owned).into());
    let mut asked = scene.sts.asked();
    // `changes` is another process, so to say.
    assert_eq!(asked.split_off(before).len(), 3);
    asked.sort_unstable();
    assert_eq!(asked, ["acme", "globex", "initech", "platform"], "one session for each");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_asked_for_once_however_many_wait_for_it() {
    let scene = Scene::begin().await;
    scene.sts.set_delay(Duration::from_millis(200));
    let users: Vec<User<'_>> =
        (0..40).map(|number| scene.app.user("acme", &format!("u{number}"), Role::Viewer)).collect();
    for answer in join_all(users.iter().map(|user| user.get("/documents"))).await {
        answer.expect(200);
    }
    assert_eq!(scene.sts.asked(), ["acme"]);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_renewed_before_its_end_and_used_on_if_it_cannot_be() {
    let scene = Scene::begin().await;
    let viewer = scene.app.user("acme", "vera", Role::Viewer);
    scene.sts.set_life(Duration::from_mins(20));
    viewer.get("/users/me").await.expect(200);
    scene.sts.set_life(Duration::from_hours(1));
    scene.meter.signed();
    let good = format!("acme.{}", scene.sts.asked().len() + 1);
    viewer.get("/documents").await.expect(200);
    let signers = || scene.meter.signed().into_iter().map(|signed| signed.signer).collect::<BTreeSet<_>>();
    assert!(signers().contains(&good), "those before last for less than half an hour");
    let asked = scene.sts.asked().len();
    viewer.get("/collections").await.expect(200);
    assert_eq!((scene.sts.asked().len(), signers()), (asked, [good].into()), "it is not renewed");

    let other = scene.app.user("globex", "vera", Role::Viewer);
    scene.sts.set_life(Duration::from_mins(20));
    other.get("/users/me").await.expect(200);
    scene.sts.set_refusal(true);
    let asked = scene.sts.asked().len();
    for _ in 0..5 {
        other.get("/documents").await.expect(200);
    }
    assert!(scene.sts.asked().len() <= asked + 1, "it is not tried again at each request");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_nothing_is_asked_and_clients_are_told_to_come_back() {
    let scene = Scene::begin().await;
    scene.meter.signed();
    scene.sts.set_refusal(true);
    let viewer = scene.app.user("acme", "vera", Role::Viewer);
    for (method, path, body) in [
        (Method::GET, "/documents", Value::Null),
        (Method::POST, "/search", json!({ "query": "ducks" })),
        (Method::POST, "/chat", json!({ "message": "ducks?" })),
    ] {
        let answer = viewer.call(method, path, &body).await.expect(503);
        assert_eq!(answer.body["code"], "unavailable", "{}", answer.body);
        assert!(!answer.header("retry-after").is_empty());
        assert!(!answer.body.to_string().contains("STS"), "{}", answer.body);
    }
    let signed = scene.meter.signed();
    assert!(signed.iter().all(|signed| tenants_in(&signed.asked).is_empty()), "{signed:?}");
    scene.sts.set_refusal(false);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    viewer.get("/documents").await.expect(200);
    signed_by_the_deployment(&scene.meter.signed());
    scene.end().await;
}
