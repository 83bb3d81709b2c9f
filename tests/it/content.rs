//! The original of a document can be fetched at a signed address.

use std::time::Duration;

use reqwest::{Response, Url};
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{Instance, TestApp, User};

use crate::flow::DUCKS;

/// The address that a caller is sent to.
async fn address(user: &User<'_>, document: &Value) -> Url {
    let path = format!("/documents/{}/content", document["id"].as_str().unwrap());
    let answer = user.get(&path).await.expect(302);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.header("location").parse().unwrap()
}

async fn fetch(url: &Url) -> Response {
    reqwest::get(url.clone()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_read_a_document_is_sent_to_its_bytes() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let document = ada.ready("Über \"Enten\".md", DUCKS).await;
    let url = address(&ada, &document).await;
    let response = fetch(&url).await;
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["content-security-policy"], "sandbox");
    let disposition = headers["content-disposition"].to_str().unwrap();
    assert!(disposition.starts_with("attachment") && disposition.contains("%C3%9Cber"), "{disposition}");
    assert_eq!(response.bytes().await.unwrap(), DUCKS.as_bytes());

    let path = format!("/documents/{}", document["id"].as_str().unwrap());
    ada.patch(&path, json!({ "filename": "geese.md" })).await.expect(200);
    let renamed = fetch(&address(&ada, &document).await).await;
    assert!(renamed.headers()["content-disposition"].to_str().unwrap().contains("geese.md"));
    app.nobody().get(&format!("{path}/content")).await.expect(401);
    app.user("other", "ada", Role::Owner).get(&format!("{path}/content")).await.expect(404);
    ada.delete(&path).await.expect(202);
    ada.get(&format!("{path}/content")).await.expect(404);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_replaced_is_still_believed_until_it_is_gone() {
    let (old, new) = ("an old secret of more than thirty-two bytes", "a new secret of more than thirty-two bytes");
    let app = TestApp::start_with(&[("SIGNING_SECRET", old)]).await;
    let ada = app.ada();
    let document = ada.ready("ducks.md", DUCKS).await;
    let url = address(&ada, &document).await;
    let binary = env!("CARGO_BIN_EXE_instance");
    for (secrets, status) in [(format!("{new},{old}"), 200), (new.to_owned(), 403)] {
        let variables = [
            ("SIGNING_SECRET", secrets.as_str()),
            ("REDIS_URL", app.redis_url()),
            ("DYNAMODB_ENDPOINT", app.dynamodb_endpoint()),
        ];
        let process = Instance::start(binary, app.folder(), &variables).await;
        let (mut there, at): (Url, Url) = (url.clone(), process.url().parse().unwrap());
        there.set_port(at.port()).unwrap();
        assert_eq!(fetch(&there).await.status(), status, "{secrets}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_needs_no_door_and_takes_no_other_method() {
    let app = TestApp::start().await;
    let url = format!("{}/objects/acme/01J9ZQ3W6V8Y0ABCDEFGHJKMNP/1", app.running().url());
    let response = reqwest::Client::new().post(&url).send().await.unwrap();
    assert_eq!(response.status(), 405);
    for odd in ["", "/", "/../../issuer.key", "/%2e%2e/%2e%2e/issuer.key", "?expires=x"] {
        let response = reqwest::get(format!("{url}{odd}")).await.unwrap();
        assert!([403, 404].contains(&response.status().as_u16()), "{odd}: {}", response.status());
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_its_bytes_arrive_a_document_has_no_content_and_says_so() {
    let app = TestApp::start().await;
    let ada = app.ada();
    // Where the tenants' folders should be is a file.
    let objects = app.folder().join("objects/t");
    std::fs::write(&objects, "").unwrap();
    ada.upload_with("ducks.md", DUCKS.as_bytes(), &[]).await.expect(503);
    let document = ada.get("/documents?status=awaiting_upload").await.expect(200).body["data"][0].clone();
    let path = format!("/documents/{}/content", document["id"].as_str().unwrap());
    let answer = ada.get(&path).await.expect(409);
    assert_eq!(answer.body["code"], "conflict");
    std::fs::remove_file(&objects).unwrap();
    ada.upload_with("ducks.md", DUCKS.as_bytes(), &[]).await.expect(200);
    assert_eq!(fetch(&address(&ada, &document).await).await.bytes().await.unwrap(), DUCKS.as_bytes());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_is_given_twice_out_of_the_cache() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let document = ada.ready("ducks.md", DUCKS).await;
    let path = format!("/documents/{}/content", document["id"].as_str().unwrap());
    for _ in 0..3 {
        let answer = ada.get(&path).await.expect(302);
        assert_eq!(answer.header("cache-status"), "");
        assert_eq!(answer.header("etag"), "");
    }
    let first = address(&ada, &document).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_ne!(address(&ada, &document).await, first, "it is good for longer");
    app.stop().await;
}
