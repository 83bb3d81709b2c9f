use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::request::Parts;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::routes::Found;
use super::{ACCOUNT, API, BINARY, STAGE};
use crate::names;

/// Headers that API Gateway writes itself.
const ADDED: [&str; 4] = ["x-amzn-trace-id", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"];

/// A request as API Gateway hands it to a function (REST API, proxy integration of Lambda). The stage stands in its context,
/// and not in its path.
pub(super) fn event(request: &Parts, path: &str, body: &[u8], found: &Found<'_>, peer: IpAddr) -> Value {
    let now = OffsetDateTime::now_utc();
    let text = |name| request.headers.get(name).and_then(|value| value.to_str().ok());
    let (headers, multi_value_headers) = both(received(&request.headers, peer));
    let query = url::form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes());
    let (query, multi_value_query) = both(query.map(|(name, value)| (name.into_owned(), value.into_owned())));
    let is_binary = text(CONTENT_TYPE).is_some_and(|kind| kind.starts_with(BINARY));
    let body = match (body.is_empty(), is_binary) {
        (true, _) => Value::Null,
        (false, true) => STANDARD.encode(body).into(),
        (false, false) => String::from_utf8_lossy(body).into(),
    };
    json!({
        "resource": found.resource,
        "path": path,
        "httpMethod": request.method.as_str(),
        "headers": headers,
        "multiValueHeaders": multi_value_headers,
        "queryStringParameters": or_null(query),
        "multiValueQueryStringParameters": or_null(multi_value_query),
        "pathParameters": or_null(found.parameters.iter().map(|(name, part)| (name.to_string(), (*part).into())).collect()),
        "stageVariables": null,
        "requestContext": {
            "resourceId": "abc123",
            "resourcePath": found.resource,
            "httpMethod": request.method.as_str(),
            "extendedRequestId": names::request_id(),
            "requestTime": now.format(format_description!(
                "[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000"
            )).expect("it is a time"),
            "path": format!("/{STAGE}{path}"),
            "accountId": ACCOUNT,
            "protocol": "HTTP/1.1",
            "stage": STAGE,
            "domainPrefix": API,
            "requestTimeEpoch": now.unix_timestamp() * 1_000,
            "requestId": names::request_id(),
            "identity": {
                "cognitoIdentityPoolId": null,
                "accountId": null,
                "cognitoIdentityId": null,
                "caller": null,
                "sourceIp": peer,
                "principalOrgId": null,
                "accessKey": null,
                "cognitoAuthenticationType": null,
                "cognitoAuthenticationProvider": null,
                "userArn": null,
                "userAgent": text(USER_AGENT),
                "user": null,
            },
            "domainName": text(HOST),
            "deploymentId": "d3p10y",
            "apiId": API,
        },
        "body": body,
        "isBase64Encoded": is_binary,
    })
}

/// The question to the authorizer (payload type REQUEST) that an event gives rise to.
pub(super) fn question(event: &Value) -> Value {
    let mut question = event.clone();
    let members = question.as_object_mut().expect("an event is an object");
    members.remove("body");
    members.remove("isBase64Encoded");
    for name in ["queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "stageVariables"] {
        if members[name].is_null() {
            members.insert(name.to_owned(), json!({}));
        }
    }
    let (method, path) = (event["httpMethod"].as_str().unwrap_or_default(), event["path"].as_str().unwrap_or_default());
    members.insert("type".to_owned(), "REQUEST".into());
    members.insert("methodArn".to_owned(), arn(method, path).into());
    question
}

/// The name of what a request calls.
pub(super) fn arn(method: &str, path: &str) -> String {
    format!("arn:aws:execute-api:us-east-1:{ACCOUNT}:{API}/{STAGE}/{method}{path}")
}

/// The headers of a request, and those that API Gateway adds.
fn received(headers: &HeaderMap, peer: IpAddr) -> impl Iterator<Item = (String, String)> {
    let forwarded = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let forwarded = forwarded.map_or_else(|| peer.to_string(), |before| format!("{before}, {peer}"));
    let added = [
        ("X-Amzn-Trace-Id", names::trace_id()),
        ("X-Forwarded-For", forwarded),
        ("X-Forwarded-Port", "443".to_owned()),
        ("X-Forwarded-Proto", "https".to_owned()),
    ];
    let sent = headers.iter().filter(move |(name, _)| !ADDED.contains(&name.as_str()));
    let sent = sent.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    sent.chain(added.map(|(name, value)| (name.to_owned(), value)))
}

/// Pairs by their names: with the last value of each, and with all.
fn both(pairs: impl Iterator<Item = (String, String)>) -> (Map<String, Value>, Map<String, Value>) {
    let (mut last, mut all) = (Map::new(), Map::<String, Value>::new());
    for (name, value) in pairs {
        if let Some(values) = all.entry(name.clone()).or_insert_with(|| json!([])).as_array_mut() {
            values.push(value.clone().into());
        }
        last.insert(name, value.into());
    }
    (last, all)
}

fn or_null(members: Map<String, Value>) -> Value {
    if members.is_empty() { Value::Null } else { members.into() }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::super::routes::Routes;
    use super::*;

    fn made(request: Request<Vec<u8>>) -> Value {
        let routes = Routes::read(&::tests::data::project_file("Cargo.toml"));
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let found = routes.find(&parts.method, &path).unwrap();
        event(&parts, &path, &body, &found, "203.0.113.7".parse().unwrap())
    }

    fn sample(path: &str) -> Value {
        serde_json::from_str(&::tests::data::project_file(path)).unwrap()
    }

    /// The names of an object's members, and of those of the objects in it, but for headers and what a caller chooses.
    fn names_in(value: &Value) -> Vec<String> {
        let mut names = Vec::new();
        for (name, member) in value.as_object().unwrap() {
            names.push(name.clone());
            if ["requestContext", "identity"].contains(&name.as_str()) {
                names.extend(names_in(member));
            }
        }
        names
    }

    #[test]
    fn an_event_has_the_members_of_the_samples() {
        let list = made(Request::get("/documents?collection=default&limit=20").body(Vec::new()).unwrap());
        let sample_list = sample("events/documents/list.json");
        assert_eq!(names_in(&list), names_in(&sample_list));
        for name in ["queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "path", "body"] {
            assert_eq!(list[name], sample_list[name], "{name}");
        }
        assert_eq!(list["requestContext"]["path"], sample_list["requestContext"]["path"]);

        let one = made(Request::get("/documents/01J9ZQ3W6V8Y0ABCDEF0123456").body(Vec::new()).unwrap());
        let (question, sample_question) = (question(&one), sample("events/authorizer/token.json"));
        let sorted = |value| {
            let mut names = names_in(value);
            names.sort_unstable();
            names
        };
        assert_eq!(sorted(&question), sorted(&sample_question));
        assert_eq!(question["methodArn"], sample_question["methodArn"]);
        assert_eq!(question["pathParameters"], sample_question["pathParameters"]);
    }

    #[test]
    fn forms_are_base64_and_all_else_is_text() {
        let sent = |kind: &str, body: &[u8]| {
            made(Request::post("/documents/upload").header("content-type", kind).body(body.to_vec()).unwrap())
        };
        let form = sent("multipart/form-data; boundary=x", b"\xff\x00");
        assert_eq!((&form["body"], &form["isBase64Encoded"]), (&json!("/wA="), &json!(true)));
        let text = sent("application/json", "{\"ä\":1}".as_bytes());
        assert_eq!((&text["body"], &text["isBase64Encoded"]), (&json!("{\"ä\":1}"), &json!(false)));
    }

    #[test]
    fn all_values_of_a_header_are_there_and_forwarded_addresses_are_added_to() {
        let request = Request::get("/documents")
            .header("accept", "a")
            .header("accept", "b")
            .header("x-forwarded-for", "198.51.100.66");
        let event = made(request.body(Vec::new()).unwrap());
        assert_eq!(event["headers"]["accept"], "b");
        assert_eq!(event["multiValueHeaders"]["accept"], json!(["a", "b"]));
        assert_eq!(event["headers"]["X-Forwarded-For"], "198.51.100.66, 203.0.113.7");
        assert_eq!(event["requestContext"]["identity"]["sourceIp"], "203.0.113.7");
    }
}
