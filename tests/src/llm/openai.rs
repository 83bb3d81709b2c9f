use std::io;
use std::sync::Arc;

use async_stream::stream;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::Stream;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Shared;
use super::clock::{Clock, forever};
use super::connections::Open;
use super::request::Request;
use super::turn::{Refusal, Step, Turn};

/// `POST /v1/chat/completions`.
pub(super) async fn completions(State(shared): State<Arc<Shared>>, headers: HeaderMap, bytes: Bytes) -> Response {
    let request = match Request::read(headers, &bytes) {
        Ok(request) => request,
        Err(text) => return refused(&Turn::refused(400, "invalid_request_error", &text).refusal.unwrap()),
    };
    let head = Head::new(&request);
    let (streams, wants_usage, length) = (request.streams(), request.wants_usage(), request.bytes);
    let (turn, number, mut open) = shared.take(request);
    let head = Head { number, ..head };
    if let Some(refusal) = &turn.refusal {
        open.end();
        return refused(refusal);
    }
    if matches!(turn.steps.first(), Some(Step::Hang)) {
        forever().await;
    }
    let tokens = turn.tokens(length);
    if streams {
        let body = Body::from_stream(said(head, turn, wants_usage.then_some(tokens), open));
        return ([("content-type", "text/event-stream"), ("cache-control", "no-cache")], body).into_response();
    }
    whole(&head, &turn, tokens, open).await
}

/// `GET /v1/models`.
pub(super) async fn models() -> Json<Value> {
    let names = ["scripted", "ttft300-itl15-len150", "ttft300-itl15-len150-tools-1"];
    let data = names.map(|id| json!({ "id": id, "object": "model", "created": 0, "owned_by": "ragline" }));
    Json(json!({ "object": "list", "data": data }))
}

/// What all chunks of an answer have in common.
struct Head {
    number: usize,
    created: i64,
    model: String,
}

impl Head {
    fn new(request: &Request) -> Self {
        let created = OffsetDateTime::now_utc().unix_timestamp();
        Self { number: 0, created, model: request.model().to_owned() }
    }

    fn chunk(&self, choices: &Value, usage: &Value) -> Bytes {
        let chunk = json!({
            "id": format!("chatcmpl-{}", self.number),
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": usage,
        });
        format!("data: {chunk}\n\n").into()
    }

    fn delta(&self, delta: &Value, reason: Option<&str>) -> Bytes {
        self.chunk(&json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": reason }]), &Value::Null)
    }

    fn call_id(&self, index: usize) -> String {
        format!("call_{}_{index}", self.number)
    }
}

fn said(
    head: Head,
    turn: Turn,
    usage: Option<(usize, usize)>,
    mut open: Open,
) -> impl Stream<Item = Result<Bytes, io::Error>> {
    stream! {
        let ending = turn.ending.as_deref().unwrap_or(if turn.calls() { "tool_calls" } else { "stop" });
        let mut clock = Clock::start();
        let mut greeted = false;
        for step in &turn.steps {
            if matches!(step, Step::Text(_) | Step::Call { .. }) && !greeted {
                greeted = true;
                yield Ok(head.delta(&json!({ "role": "assistant", "content": "", "refusal": null }), None));
            }
            match step {
                Step::Text(text) => yield Ok(head.delta(&json!({ "content": text }), None)),
                Step::Call { index, name } => {
                    let function = json!({ "name": name, "arguments": "" });
                    let call = json!({ "index": index, "id": head.call_id(*index), "type": "function", "function": function });
                    yield Ok(head.delta(&json!({ "tool_calls": [call] }), None));
                }
                Step::Arguments { index, part } => {
                    let call = json!({ "index": index, "function": { "arguments": part } });
                    yield Ok(head.delta(&json!({ "tool_calls": [call] }), None));
                }
                Step::Raw(bytes) => yield Ok(bytes.clone().into()),
                Step::Error(kind, message) => {
                    yield Ok(format!("data: {}\n\n", error(kind, message)).into());
                    open.end();
                    return;
                }
                Step::Break => {
                    open.end();
                    // What was said before goes out first.
                    tokio::task::yield_now().await;
                    yield Err(io::ErrorKind::ConnectionReset.into());
                    return;
                }
                Step::End => {
                    open.end();
                    return;
                }
                Step::Pause(_) | Step::Gate(_) | Step::Hang => clock.wait(step).await,
            }
        }
        yield Ok(head.delta(&json!({}), Some(ending)));
        if let Some((input, output)) = usage {
            yield Ok(head.chunk(&json!([]), &usage_of(input, output)));
        }
        open.end();
        yield Ok("data: [DONE]\n\n".into());
    }
}

async fn whole(head: &Head, turn: &Turn, tokens: (usize, usize), mut open: Open) -> Response {
    let mut clock = Clock::start();
    let (mut text, mut calls): (String, Vec<(String, String)>) = Default::default();
    for step in &turn.steps {
        match step {
            Step::Text(piece) => text.push_str(piece),
            Step::Call { name, .. } => calls.push((name.clone(), String::new())),
            Step::Arguments { index, part } => calls[*index].1.push_str(part),
            Step::Pause(_) | Step::Gate(_) | Step::Hang => clock.wait(step).await,
            Step::Error(kind, message) => {
                open.end();
                return (StatusCode::INTERNAL_SERVER_ERROR, Json(error(kind, message))).into_response();
            }
            Step::Break | Step::End | Step::Raw(_) => {
                open.end();
                let mut parts = vec![Ok(Bytes::from_static(b"{\"id\": \"chatcmpl-1\", \"choi"))];
                if matches!(step, Step::Break) {
                    parts.push(Err(io::Error::from(io::ErrorKind::ConnectionReset)));
                }
                let body = futures::stream::iter(parts);
                return ([("content-type", "application/json")], Body::from_stream(body)).into_response();
            }
        }
    }
    open.end();
    let calls: Vec<_> = calls
        .into_iter()
        .enumerate()
        .map(|(index, (name, arguments))| {
            let function = json!({ "name": name, "arguments": arguments });
            json!({ "id": head.call_id(index), "type": "function", "function": function })
        })
        .collect();
    let reason = turn.ending.as_deref().unwrap_or(if calls.is_empty() { "stop" } else { "tool_calls" });
    let mut message = json!({ "role": "assistant", "content": text, "refusal": null });
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    Json(json!({
        "id": format!("chatcmpl-{}", head.number),
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": reason }],
        "usage": usage_of(tokens.0, tokens.1),
    }))
    .into_response()
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).expect("a status");
    let mut body = error(&refusal.kind, &refusal.message);
    body["error"]["param"] = json!(refusal.parameter);
    let retry = refusal.retry_after.clone().map(|value| [("retry-after", value)]);
    let mut response = (status, Json(body)).into_response();
    if let Some([(name, value)]) = retry {
        response.headers_mut().insert(name, value.parse().expect("a header"));
    }
    response
}

fn error(kind: &str, message: &str) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": null, "code": kind } })
}

fn usage_of(input: usize, output: usize) -> Value {
    json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output })
}
