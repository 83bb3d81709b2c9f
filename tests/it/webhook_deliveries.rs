//! Webhooks are told of what happens to documents: signed, once, for as long as it takes within a day, and nowhere that is
//! not theirs to go.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use aws_lambda_events::dynamodb::Event;
use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde_json::{Value, json};
use shared::clients::{Builder, FolderQueue, Outside};
use shared::config::{Reach, SigningConfig, Variables};
use shared::signing::Signer;
use shared::tenancy::Role;
use shared::webhooks::{Deliveries, Secrets, WEBHOOK_QUEUE, Webhooks};
use tempfile::TempDir;
use tests::{Heard, Proxy, Receiver, TestApp, User};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::flow::DUCKS;

/// The longest that a record of the stream may take to become notices.
const LAG: std::time::Duration = std::time::Duration::from_secs(20);

/// An installation whose queue of notices is delivered by the test, on a clock of its own.
struct Scene {
    app: TestApp,
    receiver: Receiver,
    queue: FolderQueue,
    worker: webhooks::State,
    clock: Arc<Mutex<OffsetDateTime>>,
    /// What the worker sent again, by the time at which the queue brings it.
    delayed: Mutex<Vec<(OffsetDateTime, String)>>,
    way: Proxy,
    _folder: TempDir,
}

impl Scene {
    async fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let queue = folder.path().join("notices");
        let app = TestApp::start_with(&[(WEBHOOK_QUEUE, &format!("file://{}", queue.display()))]).await;
        let way = Proxy::start(app.dynamodb_endpoint()).await;
        let variables = Variables::from_pairs([("DYNAMODB_ENDPOINT", way.url())]).or(app.running().variables());
        let builder = Builder::new(variables).await.unwrap();
        let dynamodb = builder.dynamodb().unwrap();
        let clock = Arc::new(Mutex::new(OffsetDateTime::now_utc()));
        let now = Arc::clone(&clock);
        let worker = webhooks::State {
            webhooks: Webhooks::new(&dynamodb),
            deliveries: Deliveries::new(&dynamodb),
            secrets: Secrets::new(&builder.signer().unwrap()),
            outside: builder.outside().unwrap(),
            queue: builder.queue(WEBHOOK_QUEUE).unwrap(),
            clock: Arc::new(move || *now.lock().unwrap()),
        };
        let (queue, receiver) = (FolderQueue::open(&queue).unwrap(), Receiver::start().await);
        Self { app, receiver, queue, worker, clock, delayed: Mutex::default(), way, _folder: folder }
    }

    fn admin(&self) -> User<'_> {
        self.app.user("acme", "olga", Role::Admin)
    }

    fn now(&self) -> OffsetDateTime {
        *self.clock.lock().unwrap()
    }

    fn pass(&self, span: Duration) {
        *self.clock.lock().unwrap() += span;
    }

    /// A webhook of acme's; its secret.
    async fn hook(&self, id: &str, url: &str) -> String {
        let put = self.admin().put(&format!("/webhooks/{id}"), json!({ "url": url })).await.expect(201);
        put.body["secret"].as_str().unwrap().to_owned()
    }

    /// Takes the bodies of all messages, each with how long it is hidden, in seconds as SQS counts.
    fn take(&self) -> Vec<(Duration, String)> {
        let real = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        let take = |place: &shared::clients::Place| {
            let body = self.queue.body(place).unwrap();
            let received = self.queue.receive(place, std::time::Duration::ZERO).unwrap().unwrap();
            self.queue.remove(&received.receipt_handle()).unwrap();
            let hidden = Duration::milliseconds(place.visible_at.saturating_sub(real as i64).max(0));
            (Duration::seconds(hidden.as_seconds_f64().ceil() as i64), body)
        };
        self.queue.list().unwrap().iter().map(take).collect()
    }

    /// The notices of so many events, once they are there.
    async fn notices(&self, number: usize) -> Vec<String> {
        let (started, mut notices) = (Instant::now(), Vec::new());
        while notices.len() < number {
            assert!(started.elapsed() < LAG, "{} of {number} notices", notices.len());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            notices.extend(self.take().into_iter().map(|(_, body)| body));
        }
        assert_eq!(notices.len(), number);
        notices
    }

    /// Delivers messages in one batch; how many are to come back. What the worker sent again is kept for its time.
    async fn deliver(&self, bodies: &[String]) -> usize {
        let mut event = SqsEvent::default();
        for (number, body) in bodies.iter().enumerate() {
            let mut message = SqsMessage::default();
            message.message_id = Some(number.to_string());
            message.body = Some(body.clone());
            event.records.push(message);
        }
        let failed = webhooks::handle(self.worker.clone(), event).await.batch_item_failures.len();
        let now = self.now();
        self.delayed.lock().unwrap().extend(self.take().into_iter().map(|(delay, body)| (now + delay, body)));
        failed
    }

    /// Lets time go by until `end`, or until nothing is left, and delivers each message when the queue brings it.
    async fn run_until(&self, end: OffsetDateTime) {
        loop {
            let next = {
                let mut delayed = self.delayed.lock().unwrap();
                delayed.sort();
                delayed.first().is_some_and(|(due, _)| *due < end).then(|| delayed.remove(0))
            };
            let Some((due, body)) = next else { break };
            let now = self.now();
            *self.clock.lock().unwrap() = due.max(now);
            assert_eq!(self.deliver(&[body]).await, 0);
        }
    }

    /// The log of a webhook of acme's, newest first.
    async fn log(&self, id: &str) -> Vec<Value> {
        let page = self.admin().get(&format!("/webhooks/{id}/deliveries?limit=100")).await.expect(200).body;
        assert_eq!(page["next_cursor"], Value::Null);
        page["data"].as_array().unwrap().clone()
    }

    async fn end(self) {
        self.app.stop().await;
    }
}

fn times(delivery: &Value) -> Vec<OffsetDateTime> {
    let time = |attempt: &Value| OffsetDateTime::parse(attempt["at"].as_str().unwrap(), &Rfc3339).unwrap();
    delivery["attempts"].as_array().unwrap().iter().map(time).collect()
}

/// What went wrong with each attempt: a reason, or a status.
fn reasons(delivery: &Value) -> Vec<Value> {
    let reason = |attempt: &Value| match &attempt["reason"] {
        Value::Null => attempt["http_status"].clone(),
        reason => reason.clone(),
    };
    delivery["attempts"].as_array().unwrap().iter().map(reason).collect()
}

fn sorted_types(heard: &[Heard]) -> Vec<String> {
    let mut types: Vec<_> = heard.iter().map(|heard| heard.body()["type"].as_str().unwrap().to_owned()).collect();
    types.sort();
    types
}

/// Whether a wait is a planned one, give or take its jitter and the seconds to which times are rounded.
fn about(wait: Duration, planned: i64) -> bool {
    let wait = wait.as_seconds_f64();
    (planned as f64 * 0.8 - 2.0..planned as f64 * 1.2 + 2.0).contains(&wait)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_for_an_hour_gets_each_event_once_when_it_is_back() {
    let scene = Scene::begin().await;
    let secret = scene.hook("crm", &scene.receiver.url()).await;
    scene.receiver.answers(503);
    let ada = scene.app.ada();
    let ready = ada.ready("ducks.md", DUCKS).await;
    let failed = ada.worked_off(&ada.upload("noise.bin", [0_u8, 159, 146, 150, 0, 1, 2, 3]).await).await;
    assert_eq!(failed["status"], "failed");
    ada.delete(&format!("/documents/{}", ready["id"].as_str().unwrap())).await.expect(202);
    let notices = scene.notices(3).await;

    let began = scene.now();
    assert_eq!(scene.deliver(&notices).await, 0);
    scene.run_until(began + Duration::HOUR).await;
    assert_eq!(scene.receiver.took().len(), 0);
    let pending = scene.log("crm").await;
    assert!(pending.iter().all(|delivery| delivery["status"] == "pending" && delivery["next_attempt_at"].is_string()));

    *scene.clock.lock().unwrap() = began + Duration::HOUR;
    scene.receiver.answers(200);
    scene.run_until(began + Duration::days(2)).await;
    assert!(scene.delayed.lock().unwrap().is_empty(), "nothing is sent again that was delivered");
    let took = scene.receiver.took();
    assert_eq!(sorted_types(&took), ["document.deleted", "document.failed", "document.ready"]);

    for message in scene.receiver.heard() {
        assert_eq!(message.signatures_of(&secret), 1, "{message:?}");
        assert!(message.header("user-agent").starts_with("Ragline/"));
        assert_eq!(message.header("content-type"), "application/json");
        let of_event = |heard: &&Heard| heard.header("webhook-id") == message.header("webhook-id");
        let taken: Vec<_> = took.iter().filter(of_event).collect();
        assert_eq!(taken.len(), 1, "an event is taken once");
        assert_eq!(taken[0].bytes, message.bytes, "an event is told in the same words each time");
    }
    let data = |topic: &str| took.iter().map(Heard::body).find(|body| body["type"] == topic).unwrap()["data"].clone();
    assert_eq!(data("document.ready"), ready);
    assert_eq!(data("document.failed"), failed);
    let (id, collection) = (&ready["id"], &ready["collection"]);
    assert_eq!(data("document.deleted"), json!({ "id": id, "collection": collection, "filename": "ducks.md" }));

    let log = scene.log("crm").await;
    assert_eq!(log.len(), 3);
    assert!(log.windows(2).all(|pair| pair[0]["id"].as_str() > pair[1]["id"].as_str()), "newest first: {log:?}");
    for delivery in &log {
        assert_eq!((&delivery["status"], &delivery["next_attempt_at"]), (&json!("delivered"), &Value::Null));
        let (last, before) = reasons(delivery).split_last().map(|(last, rest)| (last.clone(), rest.to_vec())).unwrap();
        assert!(last == 200 && before.len() >= 5 && before.iter().all(|status| *status == 503), "{delivery}");
        let times = times(delivery);
        assert!(*times.last().unwrap() >= began + Duration::HOUR, "{delivery}");
        for (pair, planned) in times.windows(2).zip([5, 30, 120, 600, 1_800, 3_600]) {
            assert!(about(pair[1] - pair[0], planned), "{planned}: {delivery}");
        }
        // Each message was signed for the time at which it was sent.
        let mut signed: Vec<_> = scene.receiver.heard();
        signed.retain(|heard| heard.header("webhook-id") == delivery["id"]);
        let signed: Vec<i64> = signed.iter().map(|heard| heard.header("webhook-timestamp").parse().unwrap()).collect();
        assert_eq!(signed, times.iter().map(|time| time.unix_timestamp()).collect::<Vec<_>>());
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_nobody_takes_is_given_up_after_a_day() {
    let scene = Scene::begin().await;
    scene.hook("crm", &scene.receiver.url()).await;
    scene.receiver.answers(500);
    let began = scene.now();
    scene.admin().post("/webhooks/crm/test", Value::Null).await.expect(202);
    assert_eq!(scene.deliver(&scene.notices(1).await).await, 0);
    scene.run_until(began + Duration::days(3)).await;
    assert!(scene.delayed.lock().unwrap().is_empty());
    let log = scene.log("crm").await;
    assert_eq!((&log[0]["status"], &log[0]["next_attempt_at"]), (&json!("failed"), &Value::Null));
    let times = times(&log[0]);
    assert!((11..=12).contains(&times.len()), "{log:?}");
    assert_eq!(times.len(), scene.receiver.heard().len(), "what comes early is not tried");
    let span = *times.last().unwrap() - began;
    assert!((Duration::days(1) - span).abs() < Duration::seconds(5), "{span}");
    scene.end().await;
}

/// What one attempt at an address comes to.
async fn outcome(scene: &Scene, id: &str) -> Value {
    scene.admin().post(&format!("/webhooks/{id}/test"), Value::Null).await.expect(202);
    assert_eq!(scene.deliver(&scene.notices(1).await).await, 0);
    let log = scene.log(id).await;
    assert_eq!(log[0]["attempts"].as_array().unwrap().len(), 1);
    json!([log[0]["status"], log[0]["attempts"][0]["http_status"], log[0]["attempts"][0]["reason"]])
}

/// A resolver that says what it was told to, each time something else.
struct Liar(Mutex<Vec<Vec<SocketAddr>>>);

impl Resolve for Liar {
    fn resolve(&self, _: Name) -> Resolving {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(async move { Ok(Box::new(answer.into_iter()) as Addrs) })
    }
}

fn outside(reach: Reach, answers: &[&[Ipv4Addr]]) -> Outside {
    let addresses = |answer: &&[Ipv4Addr]| answer.iter().map(|address| SocketAddr::from((*address, 0))).collect();
    Outside::with_resolver(reach, Arc::new(Liar(Mutex::new(answers.iter().map(addresses).collect())))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_follows_a_receiver_to_another_address() {
    let mut scene = Scene::begin().await;
    let elsewhere = Receiver::start().await;
    scene.worker.outside = outside(Reach::Private, &[&[Ipv4Addr::LOCALHOST]]);
    scene.hook("crm", &scene.receiver.url()).await;
    for (status, location) in [
        (302, "http://169.254.169.254/latest/meta-data".to_owned()),
        (301, elsewhere.url()),
        (307, elsewhere.url()),
        (308, format!("http://metadata.internal:{}/latest/meta-data", elsewhere.port())),
    ] {
        scene.receiver.sends_to(status, &location);
        assert_eq!(outcome(&scene, "crm").await, json!(["pending", status, "redirected"]), "{location}");
    }
    assert_eq!((scene.receiver.heard().len(), elsewhere.heard().len()), (4, 0));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_stands_for_a_private_address_is_not_connected_to() {
    const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
    let mut scene = Scene::begin().await;
    scene.hook("crm", &format!("https://hooks.example.com:{}/", scene.receiver.port())).await;
    let local = Ipv4Addr::LOCALHOST;
    for (reach, answers) in [
        (Reach::Public, &[&[local][..]][..]),
        (Reach::Public, &[&[local, Ipv4Addr::new(10, 0, 0, 1), METADATA]]),
        (Reach::Private, &[&[METADATA]]),
    ] {
        scene.worker.outside = outside(reach, answers);
        assert_eq!(outcome(&scene, "crm").await, json!(["pending", null, "address_not_allowed"]), "{answers:?}");
    }
    // Known under another address a moment ago, which it has been connected to.
    scene.worker.outside = outside(Reach::Private, &[&[local], &[METADATA]]);
    assert_eq!(outcome(&scene, "crm").await, json!(["pending", null, "connection_failed"]), "it speaks no TLS");
    assert_eq!(outcome(&scene, "crm").await, json!(["pending", null, "address_not_allowed"]));
    scene.worker.outside = outside(Reach::Public, &[&[]]);
    assert_eq!(outcome(&scene, "crm").await, json!(["pending", null, "host_not_found"]));
    assert_eq!(scene.receiver.heard().len(), 0);

    // An address itself is asked of no resolver; this one was allowed when it was registered.
    scene.hook("own", &scene.receiver.url()).await;
    scene.worker.outside = outside(Reach::Public, &[&[Ipv4Addr::new(8, 8, 8, 8)]]);
    assert_eq!(outcome(&scene, "own").await, json!(["pending", null, "address_not_allowed"]));
    assert_eq!(scene.receiver.heard().len(), 0);
    scene.end().await;
}

fn ready_record(tenant: &str, number: u32) -> Value {
    let id = "01J9ZQ3W6V8Y0ABCDEFGHJKMNP";
    let document = |status: &str| {
        json!({
            "id": { "S": id }, "collection": { "S": "default" }, "filename": { "S": "ducks.md" },
            "content_type": { "S": "text/markdown" }, "size_bytes": { "N": "5" }, "sha256": { "S": "00" },
            "version": { "N": "1" }, "status": { "S": status }, "stages": { "L": [] }, "chunk_count": { "N": "1" },
            "metadata": { "M": {} }, "created_at": { "S": "2026-11-24T00:00:00Z" },
            "updated_at": { "S": "2026-11-24T00:00:00Z" }, "created_by": { "S": "ada" },
        })
    };
    json!({
        "eventID": format!("{number:032x}"), "eventName": "MODIFY", "awsRegion": "us-east-1",
        "dynamodb": {
            "Keys": { "pk": { "S": format!("T#{tenant}") }, "sk": { "S": format!("DOC#{id}") } },
            "OldImage": document("indexing"), "NewImage": document("ready"),
            "ApproximateCreationDateTime": 1_795_000_000.0 + f64::from(number),
            "SequenceNumber": number.to_string(), "SizeBytes": 100, "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    })
}

/// The consumer of the stream, as it stands beside the installation.
async fn changes_of(scene: &Scene) -> changes::State {
    let builder = Builder::new(scene.app.running().variables().clone()).await.unwrap();
    let dynamodb = builder.dynamodb().unwrap();
    let epochs = builder.epochs(&builder.redis().unwrap(), &dynamodb).unwrap();
    changes::State::new(epochs, &dynamodb, builder.blobs().unwrap(), builder.queue(WEBHOOK_QUEUE).unwrap())
}

async fn consume(state: &changes::State, records: &[Value]) {
    let event: Event = serde_json::from_value(json!({ "Records": records })).unwrap();
    assert!(changes::handle(state.clone(), event).await.batch_item_failures.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_comes_twice_is_delivered_once() {
    let scene = Scene::begin().await;
    let changes = changes_of(&scene).await;
    scene.hook("crm", &scene.receiver.url()).await;
    scene.hook("erp", &scene.receiver.url()).await;
    let records = [ready_record("acme", 1), ready_record("acme", 2)];
    for _ in 0..2 {
        consume(&changes, &records).await;
    }
    // All at once, then each once more.
    let notices = scene.notices(8).await;
    assert_eq!(scene.deliver(&notices).await, 0);
    assert_eq!(scene.deliver(&notices).await, 0);
    scene.run_until(scene.now() + Duration::days(2)).await;
    let heard = scene.receiver.heard();
    let mut ids: Vec<_> = heard.iter().map(|heard| heard.header("webhook-id").to_owned()).collect();
    ids.sort();
    assert_eq!(ids.len(), 4, "two events, each for two webhooks");
    assert!(ids[0] == ids[1] && ids[1] != ids[2] && ids[2] == ids[3], "{ids:?}");
    for id in ["crm", "erp"] {
        let log = scene.log(id).await;
        assert!(log.len() == 2 && log.iter().all(|delivery| reasons(delivery) == [204]), "{log:?}");
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_before_it_notes_a_delivery_delivers_again_under_the_same_id() {
    let scene = Scene::begin().await;
    scene.hook("crm", &scene.receiver.url()).await;
    scene.admin().post("/webhooks/crm/test", Value::Null).await.expect(202);
    let notices = scene.notices(1).await;
    // The claim is entered, and what came of it is not.
    scene.way.lose_after(1, "DynamoDB_20120810.UpdateItem");
    assert_eq!(scene.deliver(&notices).await, 1, "the message comes back");
    scene.way.lose_nothing();
    assert_eq!(scene.deliver(&notices).await, 0);
    assert_eq!(scene.receiver.heard().len(), 1, "who claimed it may still be at it");
    scene.run_until(scene.now() + Duration::days(2)).await;
    let heard = scene.receiver.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].header("webhook-id"), heard[1].header("webhook-id"));
    assert_eq!(scene.log("crm").await[0]["status"], "delivered");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_hear_of_their_own_tenant_and_of_what_they_want() {
    let scene = Scene::begin().await;
    let changes = changes_of(&scene).await;
    let other = Receiver::start().await;
    let stranger = scene.app.user("globex", "olga", Role::Admin);
    stranger.put("/webhooks/crm", json!({ "url": other.url() })).await.expect(201);
    let put = async |id: &str, body: Value| scene.admin().put(&format!("/webhooks/{id}"), body).await.expect(201);
    put("failures", json!({ "url": scene.receiver.url(), "events": ["document.failed"] })).await;
    put("off", json!({ "url": scene.receiver.url(), "enabled": false })).await;
    put("on", json!({ "url": scene.receiver.url(), "events": ["document.ready"] })).await;
    consume(&changes, &[ready_record("acme", 1), ready_record("nobody", 2)]).await;
    assert_eq!(scene.deliver(&scene.notices(1).await).await, 0);
    assert_eq!((scene.receiver.took().len(), other.heard().len()), (1, 0));
    assert_eq!((scene.log("on").await.len(), scene.log("off").await.len()), (1, 0));
    let page = stranger.get("/webhooks/crm/deliveries").await.expect(200).body;
    assert_eq!(page["data"], json!([]));

    // A notice that somebody made up for another tenant's webhook, of another's registration, goes nowhere.
    consume(&changes, &[ready_record("acme", 3)]).await;
    let forged = scene.notices(1).await[0].replace("\"acme\"", "\"globex\"").replace("\"on\"", "\"crm\"");
    assert!(forged.contains("globex") && forged.contains("\"crm\""));
    assert_eq!(scene.deliver(&[forged]).await, 0);
    assert_eq!((scene.receiver.heard().len(), other.heard().len()), (1, 0));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_to_be_told_to_a_webhook_that_is_gone_or_off_is_told_to_nobody() {
    let scene = Scene::begin().await;
    let admin = scene.admin();
    scene.hook("crm", &scene.receiver.url()).await;
    let pending = async || {
        admin.post("/webhooks/crm/test", Value::Null).await.expect(202);
        scene.notices(1).await
    };
    let notices = pending().await;
    admin.put("/webhooks/crm", json!({ "url": scene.receiver.url(), "enabled": false })).await.expect(200);
    assert_eq!(scene.deliver(&notices).await, 0);
    let log = scene.log("crm").await;
    assert_eq!((&log[0]["status"], reasons(&log[0])), (&json!("failed"), vec![json!("webhook_disabled")]));
    admin.post("/webhooks/crm/test", Value::Null).await.expect(409);

    admin.put("/webhooks/crm", json!({ "url": scene.receiver.url() })).await.expect(200);
    let notices = pending().await;
    admin.delete("/webhooks/crm").await.expect(204);
    admin.get("/webhooks/crm/deliveries").await.expect(404);
    assert_eq!(scene.deliver(&notices).await, 0);
    // Another one by the same id is not the one that was told of it.
    scene.hook("crm", &scene.receiver.url()).await;
    assert_eq!(scene.deliver(&notices).await, 0);
    assert_eq!((scene.receiver.heard().len(), scene.log("crm").await.len()), (0, 0));
    assert!(scene.delayed.lock().unwrap().is_empty());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_is_not_told_again() {
    let scene = Scene::begin().await;
    scene.hook("crm", &scene.receiver.url()).await;
    scene.receiver.answers(410);
    assert_eq!(outcome(&scene, "crm").await, json!(["failed", 410, "gone"]));
    let hook = scene.admin().get("/webhooks/crm").await.expect(200).body;
    assert_eq!((&hook["enabled"], &hook["disabled_reason"]), (&json!(false), &json!("gone")));
    assert!(scene.delayed.lock().unwrap().is_empty());
    let put = scene.admin().put("/webhooks/crm", json!({ "url": scene.receiver.url() })).await.expect(200).body;
    assert_eq!((&put["enabled"], &put["disabled_reason"]), (&json!(true), &Value::Null));
    scene.receiver.answers(200);
    assert_eq!(outcome(&scene, "crm").await, json!(["delivered", 200, null]));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rotation_both_secrets_sign_for_a_day() {
    let scene = Scene::begin().await;
    let url = scene.receiver.url();
    let first = scene.hook("crm", &url).await;
    let rotated = scene.admin().put("/webhooks/crm", json!({ "url": url, "secret": "rotate" })).await.expect(200).body;
    let second = rotated["secret"].as_str().unwrap();
    assert_ne!(first, second);
    for (passed, first_signs) in [(Duration::ZERO, 1), (Duration::hours(23), 1), (Duration::hours(2), 0)] {
        scene.pass(passed);
        assert_eq!(outcome(&scene, "crm").await, json!(["delivered", 204, null]));
        let heard = scene.receiver.heard().pop().unwrap();
        assert_eq!((heard.signatures_of(&first), heard.signatures_of(second)), (first_signs, 1));
        assert_eq!(heard.header("webhook-signature").split(' ').count(), 1 + first_signs);
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_the_deployment_is_replaced_without_losing_those_of_webhooks() {
    const NEW: &str = "a new secret of more than thirty-two bytes";
    let mut scene = Scene::begin().await;
    let old = scene.app.running().variables().optional_text("SIGNING_SECRET").unwrap().to_owned();
    let secrets = |text: &str| {
        let config = SigningConfig::from_variables(&Variables::from_pairs([("SIGNING_SECRET", text)])).unwrap();
        Secrets::new(&Signer::new(&config))
    };
    let mut signing = Vec::new();
    for id in ["first", "second"] {
        signing.push(scene.hook(id, &scene.receiver.url()).await);
        let put = json!({ "url": scene.receiver.url(), "secret": "rotate" });
        let put = scene.admin().put(&format!("/webhooks/{id}"), put).await.expect(200).body;
        signing.push(put["secret"].as_str().unwrap().to_owned());
    }
    // While both are about, the first is told something.
    scene.worker.secrets = secrets(&format!("{NEW},{old}"));
    assert_eq!(outcome(&scene, "first").await, json!(["delivered", 204, null]));
    scene.worker.secrets = secrets(NEW);
    assert_eq!(outcome(&scene, "first").await, json!(["delivered", 204, null]));
    for heard in scene.receiver.heard() {
        assert_eq!((heard.signatures_of(&signing[0]), heard.signatures_of(&signing[1])), (1, 1));
    }
    assert_eq!(outcome(&scene, "second").await, json!(["pending", null, "secret_lost"]), "it says so");
    assert_eq!(scene.receiver.heard().len(), 2);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_delivers_by_itself() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let admin = app.user("acme", "olga", Role::Admin);
    let put = admin.put("/webhooks/crm", json!({ "url": receiver.url() })).await.expect(201).body;
    let test = admin.post("/webhooks/crm/test", Value::Null).await.expect(202).body;
    let document = app.ada().ready("ducks.md", DUCKS).await;
    let started = Instant::now();
    while receiver.heard().len() < 2 {
        assert!(started.elapsed() < LAG, "{:?}", receiver.heard());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let heard = receiver.heard();
    assert_eq!(sorted_types(&heard), ["document.ready", "webhook.test"]);
    for message in &heard {
        assert_eq!(message.signatures_of(put["secret"].as_str().unwrap()), 1);
        let is_test = message.header("webhook-id") == test["id"];
        let data = if is_test { json!({ "webhook": "crm" }) } else { document.clone() };
        assert_eq!(message.body()["data"], data);
    }
    app.stop().await;
}
