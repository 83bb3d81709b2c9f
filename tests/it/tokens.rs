//! Which tokens are believed.

use reqwest::Method;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{Issuer, SigningKey, TestApp};
use time::{Duration, OffsetDateTime};

/// Settings of an installation that believes this issuer, and no longer its own.
fn settings(issuer: &Issuer) -> [(&str, &str); 6] {
    [
        ("JWKS_URL", issuer.url()),
        ("JWT_ISSUER", "https://issuer.example/"),
        ("JWT_AUDIENCE", "ragline"),
        ("JWT_TENANT_CLAIM", "app.tenant"),
        ("JWT_ROLE_CLAIM", "app.roles"),
        ("JWT_ROLE_PREFIX", "ragline-"),
    ]
}

fn claims(user: &str) -> Value {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    json!({
        "iss": "https://issuer.example/", "aud": ["ragline"], "sub": user, "iat": now, "exp": now + 600,
        "app": { "tenant": "acme", "roles": ["ragline-editor", "staff"] },
        "email": "ada@acme.example", "email_verified": true, "name": "Ada",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_each_algorithm_lets_in_whom_it_names() {
    let keys = [SigningKey::rsa("a"), SigningKey::ec("b"), SigningKey::ed("c")];
    let issuer = Issuer::start(&keys.each_ref()).await;
    let app = TestApp::start_with(&settings(&issuer)).await;
    for (key, user) in keys.iter().zip(["ada", "bob", "auth0|carl"]) {
        let profile = app.bearer(&key.token(&claims(user))).get("/users/me").await.expect(200).body;
        assert_eq!(
            (&profile["id"], &profile["tenant"]["id"], &profile["role"], &profile["email"], &profile["name"]),
            (&json!(user), &json!("acme"), &json!("editor"), &json!("ada@acme.example"), &json!("Ada"))
        );
    }
    assert_eq!(issuer.requests(), 1);
    app.user("acme", "ada", Role::Editor).get("/users/me").await.expect(401);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn until_the_issuer_publishes_keys_a_token_is_neither_believed_nor_refused() {
    let key = SigningKey::ec("a");
    let issuer = Issuer::start(&[]).await;
    let app = TestApp::start_with(&settings(&issuer)).await;
    let ada = app.bearer(&key.token(&claims("ada")));
    let answer = ada.get("/users/me").await.expect(503);
    assert_eq!(answer.body["code"], "unavailable");
    assert_ne!(answer.header("retry-after"), "");
    issuer.publish(&[&key]);
    // Without any keys it is asked again after a second.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    ada.get("/users/me").await.expect(200);
    assert_eq!(issuer.requests(), 2);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_authorization_header_of_the_bearer_scheme_is_taken() {
    let app = TestApp::start().await;
    let token = app.token("acme", "ada", Role::Viewer);
    for value in [format!("bearer {token}"), format!("BEARER   {token}"), format!("Bearer {token}  ")] {
        app.nobody().with("authorization", &value).get("/users/me").await.expect(200);
    }
    for value in ["", "Bearer", "Bearer ", "Basic YWRhOnNlY3JldA==", &token, &format!("Token {token}")] {
        let answer = app.nobody().with("authorization", value).get("/users/me").await.expect(401);
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    app.nobody().with("authorization", &format!("Bearer {token}, Bearer {token}")).get("/users/me").await.expect(401);
    for second in [format!("Bearer {token}"), "Basic YWRhOnNlY3JldA==".to_owned()] {
        app.bearer(&token).with("authorization", &second).get("/users/me").await.expect(401);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_the_platform_is_believed_of_the_platforms_tenant_only() {
    let app = TestApp::start().await;
    let operate = async |app: &TestApp, tenant| {
        let operator = app.user(tenant, "eve", Role::Operator);
        operator.call(Method::PUT, "/tenants/acme", &json!({})).await.status.as_u16()
    };
    assert_eq!(operate(&app, "platform").await, 200);
    assert_eq!(operate(&app, "acme").await, 401);
    app.stop().await;

    let app = TestApp::start_with(&[("JWT_OPERATOR_TENANT", "operations")]).await;
    assert_eq!(operate(&app, "operations").await, 200);
    assert_eq!(operate(&app, "platform").await, 401);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_issuers_tokens_end_and_those_of_another_folder_never_begin() {
    let app = TestApp::start().await;
    let good = app.running().issuer();
    let claims =
        local::TokenClaims { tenant: "acme".parse().unwrap(), user: "ada".parse().unwrap(), role: Role::Owner };
    let now = OffsetDateTime::now_utc();
    app.bearer(&good.token(&claims, now).unwrap()).get("/users/me").await.expect(200);
    let other_folder = tempfile::tempdir().unwrap();
    let stranger = local::Issuer::open(&local::DataFolder::open(other_folder.path()).unwrap()).unwrap();
    for token in [good.token(&claims, now - Duration::days(31)).unwrap(), stranger.token(&claims, now).unwrap()] {
        app.bearer(&token).get("/users/me").await.expect(401);
    }
    app.stop().await;
}
