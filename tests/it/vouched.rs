//! What the functions make of the authorizer's word, and of what only looks like it.

use axum::body::{Body, to_bytes};
use http::StatusCode;
use serde_json::{Value, json};
use shared::http::on_lambda;
use shared::tenancy::Role;
use tests::{TestApp, data};
use tower::ServiceExt;

/// The event of `GET /users/me`, without a token, and with what the authorizer said, if anything.
fn me(authorizer: &Value) -> Value {
    let mut event: Value = serde_json::from_str(&data::project_file("events/users/me.json")).unwrap();
    for headers in ["headers", "multiValueHeaders"] {
        event[headers].as_object_mut().unwrap().remove("Authorization");
    }
    // Where no variable says otherwise the stage would stand in front of the path.
    event["requestContext"]["stage"] = json!("$default");
    if !authorizer.is_null() {
        event["requestContext"]["authorizer"] = authorizer.clone();
    }
    event
}

/// The same event with a bearer token.
fn with_bearer(mut event: Value, token: &str) -> Value {
    event["headers"]["Authorization"] = json!(format!("Bearer {token}"));
    event["multiValueHeaders"]["Authorization"] = json!([format!("Bearer {token}")]);
    event
}

/// What the authorizer's answer becomes in the events of the functions.
fn vouched_for() -> Value {
    let answer: Value = serde_json::from_str(&data::project_file("events/authorizer/token.allow.json")).unwrap();
    let mut authorizer = answer["context"].clone();
    authorizer["principalId"] = answer["principalId"].clone();
    authorizer["integrationLatency"] = json!(12);
    authorizer
}

/// What a function answers to an event.
async fn invoked(app: &TestApp, event: &Value) -> (StatusCode, Value) {
    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    let response = on_lambda(app.running().router()).oneshot(request.map(|_| Body::empty())).await.unwrap();
    let (status, body) = (response.status(), to_bytes(response.into_body(), usize::MAX).await.unwrap());
    (status, serde_json::from_slice(&body).unwrap())
}

async fn who(app: &TestApp, event: &Value) -> (Value, Value, Value) {
    let (status, me) = invoked(app, event).await;
    assert_eq!(status, 200, "{me}");
    (me["tenant"]["id"].clone(), me["id"].clone(), me["role"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_believes_what_the_rest_api_says_of_the_caller() {
    let app = TestApp::start().await;
    let ada = (json!("acme"), json!("ada"), json!("editor"));
    assert_eq!(who(&app, &me(&vouched_for())).await, ada);

    // What else the context may hold, whoever put it there, says nothing.
    let mut forged = vouched_for();
    for (name, value) in [("admin", "true"), ("tenant_id", "globex"), ("principalId", "globex/root"), ("sub", "root")] {
        forged[name] = json!(value);
    }
    assert_eq!(who(&app, &me(&forged)).await, ada);

    // The profile is personal, so it also shows that nobody's cached answer was served.
    let mut other = vouched_for();
    (other["user"], other["name"], other["email"]) = (json!("bob"), json!("Bob 🦆"), json!("bob@example.com"));
    let (_, profile) = invoked(&app, &me(&other)).await;
    assert_eq!((&profile["id"], &profile["name"]), (&json!("bob"), &json!("Bob 🦆")));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_client_sends_is_taken_for_the_authorizers_word() {
    let app = TestApp::start().await;
    let context = vouched_for();

    let mut headers = me(&Value::Null);
    let named = ["authorizer", "x-amzn-authorizer", "x-apigateway-context", "x-amzn-request-context"];
    for (name, value) in context.as_object().unwrap() {
        headers["headers"][name] = value.as_str().map_or_else(|| json!(value.to_string()), |text| json!(text));
        headers["multiValueHeaders"][name] = json!([headers["headers"][name]]);
    }
    for name in named {
        let value = json!({ "authorizer": &context }).to_string();
        headers["multiValueHeaders"][name] = json!([&value]);
        headers["headers"][name] = json!(value);
    }
    let mut body = me(&Value::Null);
    body["body"] = json!(json!({ "requestContext": { "authorizer": &context }, "tenant": "acme" }).to_string());
    let mut query = me(&Value::Null);
    query["queryStringParameters"] = context.clone();
    query["queryStringParameters"]["integrationLatency"] = json!("12");
    let mut beside = me(&Value::Null);
    beside["authorizer"] = context.clone();
    beside["context"] = context.clone();
    let mut identity = me(&Value::Null);
    identity["requestContext"]["identity"]["authorizer"] = context.clone();
    // What a REST API without this authorizer, or with Cognito, says.
    let claims = me(&json!({ "claims": &context, "scopes": null }));
    let nested = me(&json!({ "lambda": &context, "jwt": { "claims": &context, "scopes": [] } }));
    for (where_, event) in [
        ("headers", headers),
        ("body", body),
        ("query", query),
        ("beside the request context", beside),
        ("in the identity", identity),
        ("in claims", claims),
        ("nested", nested),
        ("in the context of an HTTP API", http_api(&context)),
    ] {
        let (status, answer) = invoked(&app, &event).await;
        assert_eq!(status, 401, "{where_}: {answer}");
    }

    // There it is the bearer token that counts, as under `cargo lambda watch`.
    let mut event = http_api(&context);
    event["headers"]["authorization"] = json!(format!("Bearer {}", app.token("globex", "bob", Role::Viewer)));
    assert_eq!(who(&app, &event).await, (json!("globex"), json!("bob"), json!("viewer")));
    app.stop().await;
}

/// The event of `GET /users/me` in an HTTP API whose authorizer said this.
fn http_api(authorizer: &Value) -> Value {
    let mut said = json!({ "lambda": authorizer });
    said.as_object_mut().unwrap().extend(authorizer.as_object().unwrap().clone());
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/users/me",
        "rawQueryString": "",
        "headers": { "host": "abcde12345.execute-api.us-east-1.amazonaws.com" },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcde12345",
            "authorizer": said,
            "domainName": "abcde12345.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "abcde12345",
            "http": {
                "method": "GET", "path": "/users/me", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7",
                "userAgent": "curl/8.5.0",
            },
            "requestId": "B9cVWZGpIoAMEV5w=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "22/Nov/2026:16:31:28 +0000",
            "timeEpoch": 1_795_365_088_000_u64,
        },
        "isBase64Encoded": false,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_cannot_be_understood_or_has_ended_leaves_the_bearer_token() {
    let app = TestApp::start().await;
    let bob = app.token("globex", "bob", Role::Viewer);
    for (member, value) in [
        ("tenant", json!("acme#globex")),
        ("tenant", json!({ "id": "acme" })),
        ("user", json!("")),
        ("role", json!("root")),
        ("role", Value::Null),
        ("expires_at", json!("2026-01-01T00:00:00Z")),
        ("expires_at", json!("never")),
        ("key", json!("01J9ZQ3W6V8Y0ABCDEFGHJKMNP")),
    ] {
        let mut context = vouched_for();
        context[member] = value;
        let (status, answer) = invoked(&app, &me(&context)).await;
        assert_eq!(status, 401, "{context}: {answer}");
        let with_token = with_bearer(me(&context), &bob);
        assert_eq!(who(&app, &with_token).await, (json!("globex"), json!("bob"), json!("viewer")), "{context}");
    }
    let mut whole = vouched_for();
    assert_eq!(who(&app, &with_bearer(me(&whole), "not a token")).await.0, "acme", "it is not verified twice");
    whole.as_object_mut().unwrap().remove("tenant");
    assert_eq!(invoked(&app, &me(&whole)).await.0, 401);
    app.stop().await;
}
