//! The description of the API (OpenAPI 3.1), put together of what the functions say of their routes.
//!
//! A handler says what is special to it: its parameters, its body, what it answers, and in [`LOWEST_ROLE`] whom it lets in.
//! What follows from that for every route stands here: who must show a token, how requests are refused, and the headers of
//! answers. No function calls this; what is served is a file that was written of it.

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;
use utoipa::{IntoParams, OpenApi as _};

use crate::http::Problem;

/// The member of an operation that names the lowest role that it lets in, or `anyone`. Where a document or a collection is
/// concerned, it is the role in the collection.
pub const LOWEST_ROLE: &str = "x-lowest-role";
/// The member of an operation that names the schema of its problems, where they are no problem documents. It is gone from the
/// description as it is served, where each answer has its schema.
pub const PROBLEM_SCHEMA: &str = "x-problem-schema";

const INTRODUCTION: &str = "Documents go in; searches and cited answers come out, for many tenants that never see each \
    other. A token names the tenant; all ids are of that tenant, and those of another do not exist (404).";

/// The headers of answers: name, description, schema, whether it is never missing.
const HEADERS: [(&str, &str, &str, bool); 11] = [
    ("Cache-Control", "Who may keep the answer.", "string", true),
    ("Cache-Status", "What the cache had to do with the answer (RFC 9211).", "string", true),
    ("ETag", "The version of the answer, for `If-None-Match`.", "string", true),
    ("Idempotency-Expires", "Until when a repetition gets the same answer (RFC 3339).", "string", false),
    ("Idempotency-Replayed", "`true` if this answers a repetition.", "string", false),
    ("Location", "Where the original is.", "string", true),
    ("RateLimit", "How many requests are left in each bucket.", "string", true),
    ("RateLimit-Policy", "How large the buckets are.", "string", true),
    ("Retry-After", "The seconds after which it makes sense to try again.", "integer", true),
    ("WWW-Authenticate", "The scheme by which to show who asks.", "string", true),
    ("x-request-id", "Names the request, for questions about it.", "string", true),
];
const ALWAYS: &[&str] = &["x-request-id"];
const COUNTED: &[&str] = &["RateLimit", "RateLimit-Policy", "x-request-id"];
const CACHED: &[&str] = &["Cache-Control", "Cache-Status", "ETag"];
const REPEATABLE: &[&str] = &["Idempotency-Expires", "Idempotency-Replayed"];

/// An answer that is no success.
struct Refusal {
    status: &'static str,
    /// Its name among the components.
    name: &'static str,
    description: &'static str,
    headers: &'static [&'static str],
}

const fn refusal(
    status: &'static str,
    name: &'static str,
    headers: &'static [&'static str],
    description: &'static str,
) -> Refusal {
    Refusal { status, name, description, headers }
}

const REFUSALS: [Refusal; 12] = [
    refusal("304", "NotModified", CACHED, "`If-None-Match` names the version that this is."),
    refusal("400", "Invalid", COUNTED, "A part of the request is missing, wrong or unknown; `errors` names it."),
    refusal(
        "401",
        "Unauthenticated",
        &["RateLimit", "RateLimit-Policy", "WWW-Authenticate", "x-request-id"],
        "There is no valid token.",
    ),
    refusal("403", "Forbidden", COUNTED, "The role is too low."),
    refusal("404", "NotFound", COUNTED, "There is no such resource in the caller's tenant."),
    refusal("409", "Conflict", COUNTED, "The state does not allow it."),
    refusal("413", "TooLarge", COUNTED, "The body is larger than the route takes."),
    refusal("415", "UnsupportedMediaType", COUNTED, "The route does not take a body of this content type."),
    refusal("422", "IdempotencyMismatch", COUNTED, "The `Idempotency-Key` was used for another request."),
    refusal(
        "429",
        "RateLimited",
        &["RateLimit", "RateLimit-Policy", "Retry-After", "x-request-id"],
        "A limit of requests is reached; `violated-policies` names it.",
    ),
    refusal("500", "Internal", ALWAYS, "A fault of the service."),
    refusal("503", "Unavailable", &["Retry-After", "x-request-id"], "A part of the service is away."),
];

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(Problem)))]
struct Common;

/// The header of routes that may be repeated.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the door reads it")]
pub struct IdempotencyHeader {
    /// Names the request: repetitions with the same key, which are the same otherwise, get the same answer.
    #[param(rename = "Idempotency-Key", pattern = "^[!#-~][!-~]{0,254}$", nullable = false)]
    idempotency_key: Option<String>,
}

/// The description of the API of these functions.
pub fn whole(functions: impl IntoIterator<Item = OpenApi>) -> Result<Value, serde_json::Error> {
    let mut merged = Common::openapi();
    for function in functions {
        merged.merge(function);
    }
    let mut whole = serde_json::to_value(merged)?;
    whole["info"] = json!({
        "title": "Ragline",
        "version": env!("CARGO_PKG_VERSION"),
        "description": INTRODUCTION,
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    });
    // Beside this document, whatever stands in front of it.
    whole["servers"] = json!([{ "url": "." }]);
    whole["components"]["securitySchemes"] = json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A JWT of the configured OIDC issuer, or an API key (`rk_…`).",
        },
    });
    whole["components"]["headers"] = HEADERS.iter().map(header).collect::<Map<_, _>>().into();
    whole["components"]["responses"] = REFUSALS.iter().map(component).collect::<Map<_, _>>().into();
    for (path, item) in whole["paths"].as_object_mut().into_iter().flatten() {
        for (_, operation) in item.as_object_mut().into_iter().flatten() {
            complete(path, operation);
        }
    }
    Ok(whole)
}

fn header((name, description, kind, required): &(&str, &str, &str, bool)) -> (String, Value) {
    let header = json!({ "description": description, "required": required, "schema": { "type": kind } });
    ((*name).to_owned(), header)
}

fn component(refusal: &Refusal) -> (String, Value) {
    (refusal.name.to_owned(), described(refusal, "application/problem+json", "Problem"))
}

fn described(refusal: &Refusal, kind: &str, schema: &str) -> Value {
    let mut response = json!({ "description": refusal.description, "headers": references(refusal.headers) });
    if refusal.status != "304" {
        response["content"] = json!({ kind: { "schema": reference("schemas", schema) } });
    }
    response
}

fn references(headers: &[&str]) -> Value {
    headers.iter().map(|name| ((*name).to_owned(), reference("headers", name))).collect::<Map<_, _>>().into()
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

/// Adds to an operation what follows from what its handler says of it.
fn complete(path: &str, operation: &mut Value) {
    let takes = |place: &str| {
        let parameters = operation["parameters"].as_array();
        parameters.is_some_and(|all| all.iter().any(|parameter| parameter["in"] == place))
    };
    let (open, repeatable) = (operation[LOWEST_ROLE] == "anyone", takes("header"));
    let has_body = !operation["requestBody"].is_null();
    let for_all = matches!(operation[LOWEST_ROLE].as_str(), Some("anyone" | "viewer"));
    let also = [
        ("400", has_body || repeatable || takes("query")),
        ("401", !open),
        ("403", !for_all),
        ("404", path.contains('{')),
        ("409", repeatable),
        ("413", has_body),
        ("415", has_body),
        ("422", repeatable),
        ("429", !open),
        ("500", !open),
        ("503", !open),
    ];
    operation["security"] = if open { json!([]) } else { json!([{ "bearer": [] }]) };
    if let Some(body) = operation.get_mut("requestBody").and_then(Value::as_object_mut) {
        body.insert("required".to_owned(), json!(true));
    }
    let problem_schema = operation.as_object_mut().and_then(|members| members.remove(PROBLEM_SCHEMA));
    let cached = !operation["responses"]["304"].is_null() && !open;
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, _) in also.iter().filter(|(_, applies)| *applies) {
        responses.entry(*status).or_insert(json!({}));
    }
    for (status, response) in responses {
        let known = REFUSALS.iter().find(|refusal| refusal.status == status);
        if let Some(refusal) = known.filter(|_| response["content"].is_null() && response["headers"].is_null()) {
            *response = match problem_schema.as_ref().and_then(Value::as_str) {
                Some(schema) => described(refusal, "application/json", schema),
                None => reference("responses", refusal.name),
            };
            continue;
        }
        let declared = response["headers"].as_object().cloned().unwrap_or_default();
        let mut headers: Vec<&str> = declared.keys().map(String::as_str).collect();
        headers.extend(if open { ALWAYS } else { COUNTED });
        if cached {
            headers.extend(CACHED);
        }
        if repeatable {
            headers.extend(REPEATABLE);
        }
        response["headers"] = references(&headers);
    }
}
