//! A request with an `Idempotency-Key` runs once.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use shared::clients::Builder;
use shared::tenancy::Role;
use tests::{Instance, Proxy, TestApp, User};

use crate::flow::DUCKS;

const NAME: &str = "idempotency-key";

fn robot() -> Value {
    json!({ "name": "robot" })
}

async fn keys(user: &User<'_>) -> usize {
    user.get("/keys").await.expect(200).body["data"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_gets_the_same_answer_and_runs_once() {
    let app = TestApp::start().await;
    let ada = app.ada().with(NAME, "\"5f8a-1\"");
    let first = ada.post("/keys", robot()).await.expect(201);
    assert!(first.headers.get("idempotency-replayed").is_none());
    let again = app.ada().with(NAME, "5f8a-1").post("/keys", robot()).await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.body, first.body, "the key as well, which is stored nowhere in the clear");
    assert_eq!(again.header("idempotency-expires"), first.header("idempotency-expires"));
    assert_eq!(keys(&ada).await, 1);

    let other = ada.post("/keys", json!({ "name": "another" })).await.expect(422);
    assert_eq!(other.body["code"], "idempotency_mismatch");
    let faulty = app.ada().with(NAME, "faulty");
    let refused = faulty.post("/keys", json!({ "name": "" })).await.expect(400);
    assert_eq!(faulty.post("/keys", json!({ "name": "" })).await.expect(400).body, refused.body);
    for wrong in ["", "a b", "\"a", &"x".repeat(256)] {
        let answer = app.ada().with(NAME, wrong).post("/keys", robot()).await.expect(400);
        assert_eq!(answer.body["errors"][0]["pointer"], NAME);
    }
    assert_eq!(keys(&ada).await, 1);
    let file = std::fs::read(app.folder().join("dynamodb.sqlite")).unwrap();
    let text = first.body["key"].as_str().unwrap().as_bytes();
    assert!(!file.windows(text.len()).any(|window| window == text), "the answer is sealed in the database");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_of_somebody_else_is_another() {
    let app = TestApp::start().await;
    let ada = app.ada().with(NAME, "shared");
    let first = ada.post("/keys", robot()).await.expect(201).body;
    let robot_of_ada = app.bearer(first["key"].as_str().unwrap()).with(NAME, "shared");
    for other in [app.user("acme", "bob", Role::Editor), app.user("other", "ada", Role::Editor)] {
        let answer = other.with(NAME, "shared").post("/keys", robot()).await.expect(201);
        assert_ne!(answer.body["id"], first["id"]);
        assert!(answer.headers.get("idempotency-replayed").is_none());
    }
    robot_of_ada.post("/keys", robot()).await.expect(409);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_requests_at_once_one_runs_and_the_others_hear_so() {
    let app = TestApp::start().await;
    let ada = app.ada().with(NAME, "at-once");
    let answers = futures::future::join_all((0..8).map(|_| ada.post("/keys", robot()))).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert!(made.iter().all(|answer| answer.body == made[0].body));
    for other in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!((other.status.as_u16(), &other.body["code"]), (409, &json!("idempotency_in_progress")));
        assert_eq!(other.header("retry-after"), "1");
    }
    assert_eq!(keys(&ada).await, 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_may_be_repeated_after_a_restart() {
    let app = TestApp::start().await;
    let upload =
        async |app: &TestApp, bytes: &[u8]| app.ada().with(NAME, "upload-1").upload_with("ducks.md", bytes, &[]).await;
    let first = upload(&app, DUCKS.as_bytes()).await.expect(202);
    let id = first.body["document"]["id"].as_str().unwrap();
    app.ada().worked_off(id).await;
    let app = app.restart().await;
    let again = upload(&app, DUCKS.as_bytes()).await.expect(202);
    assert_eq!((again.body, again.headers["idempotency-replayed"].to_str().unwrap()), (first.body.clone(), "true"));
    upload(&app, b"# Other bytes").await.expect(422);
    let list = app.ada().get("/documents").await.expect(200).body;
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_or_was_not_allowed_may_be_tried_again() {
    let app = TestApp::start().await;
    let viewer = app.user("acme", "vera", Role::Viewer).with(NAME, "upload");
    viewer.upload_with("ducks.md", DUCKS.as_bytes(), &[]).await.expect(403);
    let admin = app.user("acme", "olga", Role::Owner);
    admin.put("/users/vera", json!({ "role": "editor" })).await.expect(200);
    viewer.upload_with("ducks.md", DUCKS.as_bytes(), &[]).await.expect(202);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_process_died_is_taken_over() {
    let lock = ("IDEMPOTENCY_LOCK_SECONDS", "1");
    let app = TestApp::start_with(&[lock]).await;
    app.ada().get("/users/me").await.expect(200);
    let database = Builder::new(app.running().variables().clone()).await.unwrap().dynamodb().unwrap();
    let proxy = Proxy::start(app.dynamodb_endpoint()).await;
    let endpoint = proxy.url();
    let variables = [("REDIS_URL", app.redis_url()), ("DYNAMODB_ENDPOINT", endpoint.as_str()), lock];
    let process = Instance::start(env!("CARGO_BIN_EXE_instance"), app.folder(), &variables).await;
    // Slow enough to die between the record and the answer.
    proxy.delay(Duration::ZERO, Duration::from_millis(500));
    let ada = app.ada().with(NAME, "dying");
    let there = ada.at(process.url()).with(NAME, "dying");
    let records = async || database.all("T#acme".to_owned(), "IDEM#").await.unwrap().len();
    let die = async {
        while records().await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(process);
    };
    let request = there.try_post("/keys", robot());
    let (answer, ()) = futures::join!(request, die);
    assert!(answer.is_none(), "it died before it answered");
    ada.post("/keys", robot()).await.expect(409);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    ada.post("/keys", robot()).await.expect(201);
    assert_eq!(ada.post("/keys", robot()).await.expect(201).header("idempotency-replayed"), "true");
    assert_eq!(keys(&app.ada()).await, 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_storage_could_not_take_may_be_tried_again() {
    let app = TestApp::start().await;
    let ada = app.ada().with(NAME, "unlucky");
    // Where the tenants' folders should be is a file.
    let objects = app.folder().join("objects/t");
    std::fs::write(&objects, "").unwrap();
    let failed = ada.upload_with("ducks.md", DUCKS.as_bytes(), &[]).await.expect(503);
    assert_eq!(failed.header("idempotency-expires"), "", "it is not kept");
    std::fs::remove_file(&objects).unwrap();
    let again = ada.upload_with("ducks.md", DUCKS.as_bytes(), &[]).await.expect(200);
    assert_eq!(again.header("idempotency-replayed"), "");
    let id = again.body["document"]["id"].as_str().unwrap();
    assert_eq!(ada.worked_off(id).await["status"], "ready");
    let third = ada.upload_with("ducks.md", DUCKS.as_bytes(), &[]).await.expect(200);
    assert_eq!((third.header("idempotency-replayed"), &third.body), ("true", &again.body));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_the_same_however_its_parts_are_divided() {
    let app = TestApp::start().await;
    let ada = app.ada().with(NAME, "form");
    let upload = async |boundary: &str, bytes: &[u8]| {
        let disposition = "content-disposition: form-data; name=\"file\"; filename=\"a.txt\"";
        let (head, end) = (format!("--{boundary}\r\n{disposition}\r\n\r\n"), format!("\r\n--{boundary}--\r\n"));
        let body = [head.as_bytes(), bytes, end.as_bytes()];
        let kind = format!("multipart/form-data; boundary={boundary}");
        let response = ada.send(Method::POST, "/documents/upload", &kind, body.concat()).await;
        (response.status().as_u16(), response.headers().contains_key("idempotency-replayed"))
    };
    // No text in any encoding.
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    assert_eq!(upload("one", &bytes).await, (202, false));
    assert_eq!(upload("two", &bytes).await, (202, true));
    assert_eq!(upload("two", &bytes[1..]).await, (422, false));
    assert_eq!(upload("two", &vec![0; 4_600_000]).await, (413, false), "as without a key");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_has_ended_stands_in_nobodys_way() {
    // The database removes such records later, and the embedded one never does.
    let app = TestApp::start_with(&[("IDEMPOTENCY_KEEP_SECONDS", "1")]).await;
    let ada = app.ada().with(NAME, "short");
    ada.post("/keys", robot()).await.expect(201);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let later = ada.post("/keys", json!({ "name": "another" })).await.expect(201);
    assert_eq!(later.header("idempotency-replayed"), "");
    assert_eq!(keys(&ada).await, 2);
    app.stop().await;
}
