use std::io;
use std::sync::Arc;

use async_stream::stream;
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::Shared;
use super::clock::{Clock, forever};
use super::connections::Open;
use super::request::Request;
use super::turn::{Refusal, Step, Turn};

/// `POST /model/{modelId}/converse-stream` of Amazon Bedrock's runtime.
pub(super) async fn converse_stream(
    State(shared): State<Arc<Shared>>,
    Path(model): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let request = match Request::read(headers, &bytes) {
        Ok(request) => request,
        Err(text) => return refused(&Turn::refused(400, VALIDATION, &text).refusal.unwrap()),
    };
    if let Some(text) = fault(&request.body) {
        return refused(&Turn::refused(400, VALIDATION, &text).refusal.unwrap());
    }
    let chat = as_completions(&model, &request.body);
    let request = request.saying(chat);
    let length = request.bytes;
    let (turn, number, mut open) = shared.take(request);
    if let Some(refusal) = &turn.refusal {
        open.end();
        return refused(refusal);
    }
    if matches!(turn.steps.first(), Some(Step::Hang)) {
        forever().await;
    }
    let tokens = turn.tokens(length);
    let body = Body::from_stream(said(number, turn, tokens, open));
    ([("content-type", "application/vnd.amazon.eventstream")], body).into_response()
}

const VALIDATION: &str = "ValidationException";

fn said(
    number: usize,
    turn: Turn,
    tokens: (usize, usize),
    mut open: Open,
) -> impl Stream<Item = Result<Bytes, io::Error>> {
    stream! {
        let ending = match turn.ending.as_deref() {
            Some("length") => "max_tokens",
            Some("content_filter") => "content_filtered",
            Some(other) => other,
            None if turn.calls() => "tool_use",
            None => "end_turn",
        };
        let mut clock = Clock::start();
        // Words are block 0, and each call is one of its own.
        let mut block: Option<usize> = None;
        let mut greeted = false;
        for step in &turn.steps {
            if matches!(step, Step::Text(_) | Step::Call { .. }) && !greeted {
                greeted = true;
                yield Ok(event("messageStart", &json!({ "role": "assistant" })));
            }
            let next = match step {
                Step::Text(_) => Some(0),
                Step::Call { index, .. } => Some(index + 1),
                _ => block,
            };
            if block.is_some() && block != next {
                yield Ok(event("contentBlockStop", &json!({ "contentBlockIndex": block })));
            }
            block = next;
            match step {
                Step::Text(text) => {
                    yield Ok(event("contentBlockDelta", &json!({ "contentBlockIndex": 0, "delta": { "text": text } })));
                }
                Step::Call { index, name } => {
                    let start = json!({ "toolUse": { "toolUseId": format!("tooluse_{number}_{index}"), "name": name } });
                    yield Ok(event("contentBlockStart", &json!({ "contentBlockIndex": index + 1, "start": start })));
                }
                Step::Arguments { index, part } => {
                    let delta = json!({ "toolUse": { "input": part } });
                    yield Ok(event("contentBlockDelta", &json!({ "contentBlockIndex": index + 1, "delta": delta })));
                }
                // No frame at all.
                Step::Raw(bytes) => yield Ok(bytes.clone().into()),
                Step::Error(kind, message) => {
                    yield Ok(exception(kind, message));
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
        if block.is_some() {
            yield Ok(event("contentBlockStop", &json!({ "contentBlockIndex": block })));
        }
        yield Ok(event("messageStop", &json!({ "stopReason": ending })));
        let (input, output) = tokens;
        let usage = json!({ "inputTokens": input, "outputTokens": output, "totalTokens": input + output });
        open.end();
        yield Ok(event("metadata", &json!({ "usage": usage, "metrics": { "latencyMs": 1 } })));
    }
}

/// A frame of the encoding `vnd.amazon.eventstream`.
fn event(kind: &str, payload: &Value) -> Bytes {
    frame(&[(":message-type", "event"), (":event-type", kind)], payload)
}

fn exception(kind: &str, message: &str) -> Bytes {
    let kind = if kind.ends_with("Exception") { kind } else { "ModelStreamErrorException" };
    // In a stream they are named as members of a union.
    let mut characters = kind.chars();
    let member: String = characters.next().into_iter().flat_map(char::to_lowercase).chain(characters).collect();
    frame(&[(":message-type", "exception"), (":exception-type", &member)], &json!({ "message": message }))
}

fn frame(headers: &[(&str, &str)], payload: &Value) -> Bytes {
    let mut message = Message::new(payload.to_string());
    for (name, value) in headers.iter().chain(&[(":content-type", "application/json")]) {
        message = message.add_header(Header::new((*name).to_owned(), HeaderValue::String((*value).to_owned().into())));
    }
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).expect("the message becomes a frame");
    bytes.into()
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).expect("a status");
    let kind = if refusal.kind.ends_with("Exception") { &refusal.kind } else { of_status(refusal.status) };
    let headers = [("x-amzn-errortype", kind.to_owned()), ("x-amzn-requestid", "scripted".to_owned())];
    (status, headers, Json(json!({ "message": refusal.message }))).into_response()
}

/// The exceptions of `ConverseStream`, by their statuses.
fn of_status(status: u16) -> &'static str {
    match status {
        400 => VALIDATION,
        403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailableException",
        _ => "InternalServerException",
    }
}

/// What Bedrock would refuse about a request.
fn fault(body: &Value) -> Option<String> {
    let messages = body["messages"].as_array()?;
    if !body["inferenceConfig"]["maxTokens"].is_u64() {
        return Some("the quota for a whole answer is reserved: set maxTokens".to_owned());
    }
    let mut open: Vec<&Value> = Vec::new();
    let mut tools = false;
    for (at, message) in messages.iter().enumerate() {
        let expected = if at % 2 == 0 { "user" } else { "assistant" };
        if message["role"] != expected {
            return Some("A conversation must alternate between user and assistant roles.".to_owned());
        }
        let blocks = message["content"].as_array().filter(|blocks| !blocks.is_empty());
        let Some(blocks) = blocks else { return Some("The content field is empty.".to_owned()) };
        if blocks.iter().any(|block| block["text"].as_str().is_some_and(|text| text.trim().is_empty())) {
            return Some("The text field in the ContentBlock object is blank.".to_owned());
        }
        for id in blocks.iter().map(|block| &block["toolResult"]["toolUseId"]).filter(|id| !id.is_null()) {
            let Some(call) = open.iter().position(|call| *call == id) else {
                return Some(format!("There is no tool use of id {id} before its result."));
            };
            open.remove(call);
        }
        if !open.is_empty() {
            return Some("Expected toolResult blocks.".to_owned());
        }
        open = blocks.iter().map(|block| &block["toolUse"]["toolUseId"]).filter(|id| !id.is_null()).collect();
        tools |= !open.is_empty();
    }
    if tools && body["toolConfig"]["tools"].as_array().is_none_or(Vec::is_empty) {
        return Some(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.".to_owned(),
        );
    }
    (!open.is_empty()).then(|| "Expected toolResult blocks.".to_owned())
}

/// The same request as OpenAI's server is sent it, for what both are asked.
fn as_completions(model: &str, body: &Value) -> Value {
    let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let texts = |blocks: &[Value]| blocks.iter().filter_map(|block| block["text"].as_str()).collect::<String>();
    let mut messages = vec![json!({ "role": "system", "content": texts(&array(&body["system"])) })];
    for message in array(&body["messages"]) {
        let blocks = array(&message["content"]);
        for result in blocks.iter().map(|block| &block["toolResult"]).filter(|result| !result.is_null()) {
            let content = texts(&array(&result["content"]));
            messages.push(json!({ "role": "tool", "tool_call_id": result["toolUseId"], "content": content }));
        }
        let call = |block: &Value| {
            let call = block.get("toolUse")?;
            let function = json!({ "name": call["name"], "arguments": call["input"].to_string() });
            Some(json!({ "id": call["toolUseId"], "type": "function", "function": function }))
        };
        let calls: Vec<_> = blocks.iter().filter_map(call).collect();
        let text = texts(&blocks);
        if !calls.is_empty() {
            messages.push(json!({ "role": "assistant", "content": text, "tool_calls": calls }));
        } else if !text.is_empty() {
            messages.push(json!({ "role": message["role"], "content": text }));
        }
    }
    let offered: Vec<_> = array(&body["toolConfig"]["tools"])
        .iter()
        .map(|tool| {
            let (tool, schema) = (&tool["toolSpec"], &tool["toolSpec"]["inputSchema"]["json"]);
            let function = json!({ "name": tool["name"], "description": tool["description"], "parameters": schema });
            json!({ "type": "function", "function": function })
        })
        .collect();
    let most = &body["inferenceConfig"]["maxTokens"];
    let mut chat = json!({ "model": model, "messages": messages, "stream": true, "max_tokens": most });
    if !offered.is_empty() {
        chat["tools"] = json!(offered);
    }
    chat
}
