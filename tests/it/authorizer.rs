//! What the authorizer tells API Gateway.

use authorizer::{Answer, Refusal, State, UsageKeys};
use aws_lambda_events::apigw::ApiGatewayCustomAuthorizerRequestTypeRequest as Request;
use serde_json::{Value, json};
use shared::audit::{Action, Actor, Entry};
use shared::clients::Builder;
use shared::config::{DoorConfig, Variables};
use shared::tenancy::{AuditId, Role};
use shared::tenants::{Tenant, Tenants};
use tests::{TestApp, data};
use time::{Duration, OffsetDateTime};

use crate::template::resources;

const PLANS: (&str, &str) = ("PLANS", r#"{"pro": {"user_per_minute": 600}, "free": {"user_per_minute": 6}}"#);
pub(crate) const USAGE_KEYS: (&str, &str) = (
    "USAGE_KEYS",
    r#"{"pro": "sample-usage-key-of-the-plan-pro", "standard": "sample-usage-key-of-the-plan-standard"}"#,
);
/// The first second of the year 2100, when the token of the golden files ends.
const END: i64 = 4_102_444_800;

/// The function of an installation, with further variables, which win.
pub(crate) async fn function(app: &TestApp, variables: &[(&str, &str)]) -> State {
    let variables = Variables::from_pairs(variables.iter().copied()).or(app.running().variables());
    let builder = Builder::new(variables).await.unwrap();
    let dynamodb = builder.dynamodb().unwrap();
    State {
        authenticator: builder.authenticator(&dynamodb).unwrap(),
        tenants: Tenants::new(&dynamodb),
        plans: DoorConfig::from_variables(builder.variables()).unwrap().plans,
        usage_keys: UsageKeys::from_variables(builder.variables()).unwrap(),
    }
}

/// A token of the editor ada of acme that ends with the year 2099.
pub(crate) fn token(app: &TestApp) -> String {
    let claims =
        local::TokenClaims { tenant: "acme".parse().unwrap(), user: "ada".parse().unwrap(), role: Role::Editor };
    let signed_at = OffsetDateTime::from_unix_timestamp(END).unwrap() - Duration::days(30);
    app.running().issuer().token(&claims, signed_at).unwrap()
}

/// What is noted of a change of the tenant.
fn entry() -> Entry {
    let actor = Actor { tenant: "platform".parse().unwrap(), user: "eva".parse().unwrap(), key: None };
    let (id, at) = (AuditId::new(), OffsetDateTime::now_utc());
    Entry { id, at, actor, action: Action::PutTenant, target: "acme".to_owned(), detail: Value::Null }
}

/// A file of the authorizer's events.
fn file(name: &str) -> String {
    data::project_file(&format!("events/authorizer/{name}"))
}

fn json_file(name: &str) -> Value {
    serde_json::from_str(&file(name)).unwrap()
}

/// The sample event with this in place of `<token>`.
pub(crate) fn event(token: &str) -> Value {
    serde_json::from_str(&file("token.json").replace("<token>", token)).unwrap()
}

pub(crate) async fn ask(function: &State, event: &Value) -> Result<Answer, Refusal> {
    authorizer::handle(function, &serde_json::from_value::<Request>(event.clone()).unwrap()).await
}

/// The answer as API Gateway reads it, which must be of the form that its developer guide describes.
async fn allowed(function: &State, event: &Value) -> Value {
    let answer = serde_json::to_value(ask(function, event).await.unwrap()).unwrap();
    assert_documented(&answer);
    answer
}

/// "Output from an API Gateway Lambda authorizer": which members there are, and of what kind.
fn assert_documented(answer: &Value) {
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let known = ["context", "policyDocument", "principalId", "usageIdentifierKey"];
    assert!(members(answer).iter().all(|member| known.contains(&member.as_str())), "{answer}");
    assert!(answer["principalId"].as_str().is_some_and(|id| !id.is_empty()), "{answer}");
    let policy = &answer["policyDocument"];
    assert_eq!(members(policy), ["Statement", "Version"]);
    assert_eq!(policy["Version"], "2012-10-17");
    for statement in policy["Statement"].as_array().unwrap() {
        assert_eq!(members(statement), ["Action", "Effect", "Resource"]);
        assert_eq!(statement["Action"], "execute-api:Invoke");
        assert_eq!(statement["Effect"], "Allow");
        assert!(statement["Resource"].as_str().unwrap().contains(":execute-api:"), "{statement}");
    }
    let flat = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    assert!(answer["context"].as_object().unwrap().values().all(flat), "{answer}");
    assert!(answer.get("usageIdentifierKey").is_none_or(Value::is_string), "{answer}");
}

#[test]
fn the_golden_answers_are_of_the_documented_form() {
    for name in ["token.allow.json", "token.pro.allow.json"] {
        assert_documented(&json_file(name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_answered_as_in_the_golden_file() {
    let app = TestApp::start().await;
    let function = function(&app, &[]).await;
    let sample = event(&token(&app));
    assert_eq!(allowed(&function, &sample).await, json_file("token.allow.json"));

    // Header names come in any case, and some tools send the plain headers only.
    let text = sample.to_string();
    let lower = serde_json::from_str(&text.replace("\"Authorization\"", "\"authorization\"")).unwrap();
    assert_eq!(allowed(&function, &lower).await, json_file("token.allow.json"));
    let mut plain = sample.clone();
    plain["multiValueHeaders"] = Value::Null;
    assert_eq!(allowed(&function, &plain).await, json_file("token.allow.json"));

    // The answer is kept for the token, so it does not depend on the route.
    let mut elsewhere = sample;
    elsewhere["methodArn"] = json!("arn:aws:execute-api:us-east-1:123456789012:abcde12345/v1/DELETE/users/a:b@c");
    assert_eq!(allowed(&function, &elsewhere).await, json_file("token.allow.json"));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_names_the_key_of_the_tenants_plan() {
    let app = TestApp::start_with(&[PLANS, USAGE_KEYS]).await;
    let function = function(&app, &[]).await;
    let sample = event(&token(&app));
    let key = async |plan: Option<&str>| {
        let tenant = Tenant { plan: plan.map(str::to_owned), ..Tenant::default() };
        function.tenants.put(&"acme".parse().unwrap(), &tenant, &entry()).await.unwrap();
        allowed(&function, &sample).await.get("usageIdentifierKey").cloned()
    };
    let standard = Some(json!("sample-usage-key-of-the-plan-standard"));
    assert_eq!(allowed(&function, &sample).await["usageIdentifierKey"], standard.clone().unwrap(), "nothing is stored");
    assert_eq!(key(None).await, standard.clone());
    assert_eq!(key(Some("gone")).await, standard.clone(), "a plan that is no more is the standard one");
    assert_eq!(key(Some("free")).await, standard, "a plan without a key counts as standard");
    assert!(key(Some("pro")).await.is_some());
    assert_eq!(allowed(&function, &sample).await, json_file("token.pro.allow.json"));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_the_caller_is_let_in_and_counts_as_standard() {
    let app = TestApp::start().await;
    // A port that nothing listens on.
    let away = [USAGE_KEYS, ("DYNAMODB_ENDPOINT", "http://127.0.0.1:9"), ("DYNAMODB_OPERATION_TIMEOUT_MS", "1000")];
    let function = function(&app, &away).await;
    let mut answer = json_file("token.allow.json");
    answer["usageIdentifierKey"] = json!("sample-usage-key-of-the-plan-standard");
    assert_eq!(allowed(&function, &event(&token(&app))).await, answer);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_known_is_unauthorized_and_nothing_else_is() {
    let app = TestApp::start().await;
    let own = function(&app, &[]).await;
    let good = token(&app);
    let mut several = event(&good);
    several["multiValueHeaders"]["Authorization"] = json!([format!("Bearer {good}"), format!("Bearer {good}")]);
    let mut in_other_case = event(&good);
    in_other_case["multiValueHeaders"]["authorization"] = json!(["Bearer x"]);
    let mut hidden = event(&good);
    hidden["multiValueHeaders"].as_object_mut().unwrap().remove("Authorization");
    for (what, event) in [
        ("no token", json_file("no-token.json")),
        ("an empty token", event("")),
        ("no JWT", event("x")),
        ("a torn token", event(&good[..good.len() - 4])),
        ("another scheme", serde_json::from_str(&file("token.json").replace("Bearer <token>", "Basic YTpi")).unwrap()),
        ("two headers", several),
        ("two headers in different case", in_other_case),
        ("a header that is not among all values", hidden),
    ] {
        let refusal = ask(&own, &event).await.expect_err(what);
        assert_eq!(refusal.to_string(), "Unauthorized", "{what}: {refusal:?}");
    }

    for malformed in [Value::Null, json!(""), json!("arn:aws:execute-api:us-east-1:123456789012:abcde12345/*/GET/")] {
        let mut event = event(&good);
        event["methodArn"] = malformed;
        assert!(matches!(ask(&own, &event).await, Err(Refusal::Malformed(_))), "{event}");
    }
    // A port that nothing listens on: whether a token is valid cannot be told then.
    let keyless = function(&app, &[("JWKS_URL", "http://127.0.0.1:9/jwks.json")]).await;
    let refusal = ask(&keyless, &event(&good)).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Unverified(_)), "{refusal:?}");
    assert_ne!(refusal.to_string(), "Unauthorized");
    app.stop().await;
}

/// Whether a resource of a policy with `*` in it stands for an ARN.
fn stands_for(resource: &str, arn: &str) -> bool {
    match resource.split_once('*') {
        None => resource == arn,
        Some((start, rest)) => arn.strip_prefix(start).is_some_and(|arn| {
            arn.char_indices().map(|(at, _)| at).chain([arn.len()]).any(|at| stands_for(rest, &arn[at..]))
        }),
    }
}

#[test]
fn the_policy_covers_every_route_of_the_template_and_no_other_stage() {
    let policy = &json_file("token.allow.json")["policyDocument"]["Statement"][0]["Resource"];
    let covered = |stage: &str, method: &str, path: &str| {
        let arn = format!("arn:aws:execute-api:us-east-1:123456789012:abcde12345/{stage}/{method}{path}");
        stands_for(policy.as_str().unwrap(), &arn)
    };
    let resources = resources();
    let events = resources.as_object().unwrap().values().filter_map(|each| each["Properties"]["Events"].as_object());
    let routes: Vec<_> = events.flat_map(|events| events.values()).filter(|event| event["Type"] == "Api").collect();
    assert!(routes.len() > 15, "{routes:?}");
    for route in routes {
        let [method, path] = ["Method", "Path"].map(|name| route["Properties"][name].as_str().unwrap());
        let path = path.replace("{id}", "01J9ZQ3W6V8Y0ABCDEF0123456");
        assert!(covered("v1", method, &path) && !covered("v2", method, &path), "{method} {path}");
    }
    assert!(covered("v1", "GET", "/"), "the root");
}
