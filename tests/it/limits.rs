//! Limits, as callers see them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{Answer, TestApp, User};

/// The parameter of a policy in a structured list, such as `r` of `user` in `"user";r=17;t=3`.
fn parameter(header: &str, policy: &str, name: &str) -> Option<u64> {
    let item = header.split(", ").find(|item| item.starts_with(&format!("\"{policy}\"")))?;
    item.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))?.parse().ok()
}

fn remaining(answer: &Answer, policy: &str) -> u64 {
    parameter(answer.header("ratelimit"), policy, "r").unwrap_or_else(|| panic!("{:?}", answer.headers))
}

async fn put_tenant(app: &TestApp, tenant: &str, body: Value) -> Answer {
    let operator = app.user("platform", "root", Role::Operator);
    operator.call(Method::PUT, &format!("/tenants/{tenant}"), &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_told_when_to_come_back_and_is_let_in_then() {
    let app = TestApp::start_with(&[("LIMIT_USER_PER_MINUTE", "30")]).await;
    let ada = app.ada();
    for n in 1..=30_u64 {
        let answer = ada.get("/users/me").await.expect(200);
        assert_eq!(parameter(answer.header("ratelimit-policy"), "user", "q"), Some(30));
        assert_eq!(parameter(answer.header("ratelimit-policy"), "tenant", "w"), Some(3_600));
        // Tokens come back meanwhile.
        assert!((30 - n..=31 - n + 2).contains(&remaining(&answer, "user")), "{n}: {:?}", answer.headers);
    }
    let refused = loop {
        let answer = ada.get("/users/me").await;
        if answer.status == 429 {
            break answer;
        }
        answer.expect(200);
    };
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(refused.body["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(refused.body["violated-policies"], json!(["user"]));
    assert_eq!(refused.body["code"], "rate_limited");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert!(parameter(refused.header("ratelimit"), "user", "t").unwrap() <= wait);
    // Again, from memory this time.
    let again = ada.get("/users/me").await.expect(429);
    assert_eq!(again.body["violated-policies"], json!(["user"]));
    assert!(again.header("retry-after").parse::<u64>().unwrap() <= wait);
    // A colleague has a bucket of her own.
    app.user("acme", "bob", Role::Viewer).get("/users/me").await.expect(200);
    tokio::time::sleep(Duration::from_secs(wait)).await;
    ada.get("/users/me").await.expect(200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_takes_nothing_from_the_tenant() {
    let app = TestApp::start_with(&[("LIMIT_USER_PER_MINUTE", "2"), ("LIMIT_TENANT_PER_HOUR", "1000")]).await;
    let (ada, bob) = (app.ada(), app.user("acme", "bob", Role::Viewer));
    for _ in 0..20 {
        ada.get("/users/me").await;
    }
    let bobs = bob.get("/users/me").await.expect(200);
    assert!(remaining(&bobs, "tenant") >= 1_000 - 4, "{:?}", bobs.headers);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_refused_for_its_address_takes_nothing_from_user_and_tenant() {
    let limits = [("LIMIT_IP_PER_MINUTE", "3"), ("LIMIT_TENANT_PER_HOUR", "1000"), ("TRUSTED_PROXY_HOPS", "1")];
    let app = TestApp::start_with(&limits).await;
    let (here, there) =
        (app.ada().with("x-forwarded-for", "198.51.100.1"), app.ada().with("x-forwarded-for", "198.51.100.2"));
    let mut refused = 0;
    for _ in 0..20 {
        let answer = here.get("/users/me").await;
        if answer.status == 429 {
            assert_eq!(answer.body["violated-policies"], json!(["ip"]));
            refused += 1;
        }
    }
    assert!(refused >= 16, "{refused}");
    let elsewhere = there.get("/users/me").await.expect(200);
    assert!(remaining(&elsewhere, "tenant") >= 1_000 - (20 - refused) - 1, "{:?}", elsewhere.headers);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_believed_debits_nobody_but_its_address() {
    let app = TestApp::start_with(&[("LIMIT_IP_PER_MINUTE", "5"), ("LIMIT_TENANT_PER_HOUR", "1000")]).await;
    let genuine = app.user("acme", "ada", Role::Editor);
    let before = remaining(&genuine.get("/users/me").await.expect(200), "tenant");
    let forged = app.bearer("eyJhbGciOiJFZERTQSIsImtpZCI6ImxvY2FsIn0.eyJ0ZW5hbnQiOiJhY21lIn0.c2ln");
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(forged.get("/users/me").await.status.as_u16());
    }
    assert_eq!(statuses[..3], [401; 3]);
    assert_eq!(statuses[5..], [429; 3], "guessing ends: {statuses:?}");
    tokio::time::sleep(Duration::from_secs(13)).await;
    let after = remaining(&genuine.get("/users/me").await.expect(200), "tenant");
    assert!(after + 1 >= before, "{before}, {after}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_header_opens_no_new_bucket() {
    let app = TestApp::start_with(&[("LIMIT_IP_PER_MINUTE", "5")]).await;
    let mut refused = 0;
    for n in 0..20 {
        let forged = format!("203.0.113.{n}");
        let user = app.ada().with("x-forwarded-for", &forged).with("x-real-ip", &forged).with("forwarded", &forged);
        refused += u32::from(user.get("/users/me").await.status == 429);
    }
    assert!(refused >= 14, "{refused}");
    app.stop().await;

    let app = TestApp::start_with(&[("LIMIT_IP_PER_MINUTE", "5"), ("TRUSTED_PROXY_HOPS", "1")]).await;
    let mut refused = 0;
    for n in 0..20 {
        // What the client wrote, and behind it what our proxy saw.
        let user = app.ada().with("x-forwarded-for", &format!("203.0.113.{n}, 198.51.100.1"));
        refused += u32::from(user.get("/users/me").await.status == 429);
    }
    assert!(refused >= 14, "{refused}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_limits_are_data_and_hold_from_the_next_request_on() {
    let app = TestApp::start_with(&[("PLANS", r#"{"pro": {"user_per_minute": 600, "tenant_per_hour": 20000}}"#)]).await;
    let ada = app.ada();
    let quota = |answer: &Answer, policy: &str| parameter(answer.header("ratelimit-policy"), policy, "q").unwrap();
    assert_eq!(quota(&ada.get("/users/me").await.expect(200), "user"), 1_000_000);

    put_tenant(&app, "acme", json!({ "name": "Acme", "plan": "pro" })).await.expect(200);
    let me = ada.get("/users/me").await.expect(200);
    assert_eq!(me.body["tenant"], json!({ "id": "acme", "name": "Acme", "plan": "pro" }));
    assert_eq!((quota(&me, "user"), quota(&me, "tenant"), quota(&me, "ip")), (600, 20_000, 1_000_000));

    let limits = json!({ "user_per_minute": 3, "ip_per_minute": 70 });
    let tenant = put_tenant(&app, "acme", json!({ "plan": "pro", "limits": limits })).await.expect(200).body;
    let expected = json!({
        "user_per_minute": 3, "tenant_per_hour": 20_000, "ip_per_minute": 70,
        "documents": 100_000, "storage_bytes": 100_000_000_000_u64, "ingestions": 10_000,
        "daily_tokens": 1_000_000_000, "user_streams": 1_000, "tenant_streams": 1_000
    });
    assert_eq!(tenant, json!({ "id": "acme", "name": null, "plan": "pro", "limits": expected, "chat": {} }));
    let me = ada.get("/users/me").await.expect(200);
    assert_eq!((quota(&me, "user"), quota(&me, "ip")), (3, 70));
    assert!(remaining(&me, "ip") < 70);
    while ada.get("/users/me").await.status != 429 {}

    // A raised limit lets in who was refused a moment ago.
    put_tenant(&app, "acme", json!({ "plan": "standard" })).await.expect(200);
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    ada.get("/users/me").await.expect(200);
    // Another tenant was never touched.
    assert_eq!(quota(&app.user("globex", "eve", Role::Viewer).get("/users/me").await, "user"), 1_000_000);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_operator_describes_tenants_and_nothing_wrong_is_stored() {
    let app = TestApp::start().await;
    let owner: User<'_> = app.user("acme", "ada", Role::Owner);
    owner.call(Method::PUT, "/tenants/acme", &json!({})).await.expect(403);
    owner.get("/tenants/acme").await.expect(403);
    for (body, pointer) in [
        (json!({ "plan": "gold" }), "/plan"),
        (json!({ "name": "" }), "/name"),
        (json!({ "limits": { "user_per_minute": 0 } }), "/limits/user_per_minute"),
        (json!({ "limits": { "user_per_minute": -1 } }), "/limits/user_per_minute"),
        (json!({ "limits": { "tenant_per_hour": 10_000_001 } }), "/limits/tenant_per_hour"),
        (json!({ "limits": { "per_day": 1 } }), "/limits/per_day"),
        (json!({ "colour": "red" }), "/colour"),
    ] {
        let answer = put_tenant(&app, "acme", body.clone()).await.expect(400);
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{body}: {}", answer.body);
    }
    assert_eq!(put_tenant(&app, "no%20tenant", json!({})).await.expect(400).body["errors"][0]["pointer"], "id");
    let operator = app.user("platform", "root", Role::Operator);
    let tenant = operator.get("/tenants/acme").await.expect(200).body;
    assert_eq!((&tenant["plan"], &tenant["name"]), (&json!("standard"), &Value::Null));
    app.stop().await;
}
