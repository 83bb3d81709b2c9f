//! The gateway in front of a function that does as it is told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lambda::{Function, Gateway, Keeping};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::lifecycle::scripted;

struct Front {
    gateway: Gateway,
    functions: HashMap<String, Arc<Function>>,
    http: Client,
}

impl Front {
    async fn start() -> Self {
        let keeping = Keeping { environments: 4, invocations: None, freezing: true };
        let functions: HashMap<_, _> = ["authorizer", "chat", "documents", "health"]
            .map(|name| (name.to_owned(), Function::new(scripted(name), keeping)))
            .into();
        Self { gateway: Gateway::start(functions.clone()).await, functions, http: Client::new() }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.gateway.url())).bearer_auth("good")
    }

    fn chat(&self, query: &str) -> RequestBuilder {
        self.http.post(format!("{}/chat{query}", self.gateway.url())).bearer_auth("good")
    }
}

async fn json_of(response: Response) -> Value {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_request_reaches_the_function_of_its_route_and_its_answer_the_client() {
    let front = Front::start().await;
    let answer = front.get("/documents/7?do=answer").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let values: Vec<_> = answer.headers().get_all("x-one").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(values, ["1", "2"]);
    assert_eq!(json_of(answer).await["path"], "/documents/7");

    let sent = front.http.patch(format!("{}/documents/7", front.gateway.url())).bearer_auth("good").body("ä\"");
    assert_eq!(json_of(sent.send().await.unwrap()).await["body"], "ä\"");
    let form = front.http.patch(format!("{}/documents/7", front.gateway.url())).bearer_auth("good");
    let form = form.header("content-type", "multipart/form-data; boundary=x").body("--x--");
    assert_eq!(json_of(form.send().await.unwrap()).await["body"], "--x--", "it came as base64");
}

#[tokio::test]
async fn what_has_no_route_or_no_stage_is_refused() {
    let front = Front::start().await;
    for path in ["/nothing", "/documents/7/nothing"] {
        assert_eq!(front.get(path).send().await.unwrap().status(), 403, "{path}");
    }
    let without_stage = front.gateway.url().replace("/v1", "/documents");
    assert_eq!(front.http.get(without_stage).bearer_auth("good").send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn the_authorizer_is_asked_once_for_a_header_and_the_function_is_told() {
    let front = Front::start().await;
    let mut requests = Vec::new();
    for _ in 0..2 {
        let vouched = json_of(front.get("/documents").send().await.unwrap()).await["vouched"].take();
        assert_eq!(vouched["principalId"], "ada");
        requests.push(vouched["request"].clone());
    }
    assert_eq!(requests[0], requests[1], "the second time what was said first was used again");

    let as_who = async |credential: Option<&str>| {
        let mut request = front.http.get(format!("{}/documents", front.gateway.url()));
        if let Some(credential) = credential {
            request = request.header("authorization", credential);
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(as_who(None).await, 401);
    assert_eq!(as_who(Some("Bearer nobody")).await, 401);
    assert_eq!(as_who(Some("Bearer bad")).await, 403);
    let open = front.http.get(format!("{}/health", front.gateway.url())).send().await.unwrap();
    assert_eq!(json_of(open).await["vouched"], json!({}));
}

#[tokio::test]
async fn a_stream_comes_as_it_is_made() {
    let front = Front::start().await;
    let mut answer = front.chat("").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain");
    let mut text = String::new();
    let mut first = None;
    while let Some(piece) = answer.chunk().await.unwrap() {
        first.get_or_insert_with(Instant::now);
        text.push_str(str::from_utf8(&piece).unwrap());
    }
    assert_eq!(text, "one two three");
    let took = first.unwrap().elapsed();
    assert!(took > Duration::from_millis(300), "the first piece came {took:?} before the last");
}

#[tokio::test]
async fn a_stream_that_is_torn_is_seen_to_be_and_the_next_is_whole() {
    let front = Front::start().await;
    let torn = front.chat("?do=die").send().await.unwrap().text().await;
    assert!(torn.is_err(), "{torn:?}");
    let whole = front.chat("").send().await.unwrap().text().await.unwrap();
    assert_eq!(whole, "one two three");
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_a_stream() {
    let front = Front::start().await;
    let chat = &front.functions["chat"];
    let mut answer = front.chat("").send().await.unwrap();
    assert!(answer.chunk().await.unwrap().is_some());
    drop(answer);
    let pid = chat.started()[0];
    while !lambda::is_stopped(pid).unwrap() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(front.chat("").send().await.unwrap().text().await.unwrap(), "one two three");
    assert_eq!(chat.started(), [pid], "it came to its end and was used again");
}

#[tokio::test]
async fn failures_are_those_of_api_gateway() {
    let front = Front::start().await;
    for what in ["die", "fail"] {
        let answer = front.get(&format!("/documents?do={what}")).send().await.unwrap();
        assert_eq!(answer.status(), 502, "{what}");
        assert_eq!(json_of(answer).await, json!({ "message": "Internal server error" }));
        assert_eq!(front.get("/documents").send().await.unwrap().status(), 200, "the next one is answered");
    }
}
