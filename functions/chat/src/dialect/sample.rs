//! An answer for the tests of the dialects.

use serde_json::{Value, json};

use crate::event::Event;

pub(crate) const MESSAGE: &str = "01KB0000000000000000000000";
/// When the message was made, in seconds since 1970.
pub(crate) const CREATED: u64 = 1_764_157_816;
pub(crate) const CONVERSATION: &str = "01KB0000000000000000000001";
pub(crate) const DOCUMENT: &str = "01KB0000000000000000000002";
pub(crate) const OTHER: &str = "01KB0000000000000000000003";

/// A passage on the third page of a document, or one of a file without pages.
pub(crate) fn source(n: usize) -> Value {
    let (document, filename, page) =
        if n == 1 { (DOCUMENT, "Ducks.PDF", json!(3)) } else { (OTHER, "pumps", Value::Null) };
    json!({ "n": n, "chunk_id": format!("chunk-{n}"), "document_id": document, "filename": filename, "page": page,
        "span": { "start": 0, "end": 5 }, "text": "Text." })
}

/// Words, a call, two calls at a time of which one fails and one has the id of the call before, and words with two citations.
pub(crate) fn answer() -> Vec<Event> {
    events(&json!([
        start(),
        { "event": "delta", "data": { "text": "Let me look. " } },
        { "event": "tool_call", "data": { "id": "call", "name": "search", "arguments": { "query": "ducks" } } },
        { "event": "tool_result", "data": { "id": "call", "sources": [source(1), source(2)] } },
        { "event": "tool_call", "data": { "id": "call", "name": "search", "arguments": { "query": "pumps" } } },
        { "event": "tool_call", "data": { "id": "other", "name": "read_document", "arguments": {} } },
        { "event": "tool_result", "data": { "id": "call", "sources": [source(2)] } },
        { "event": "tool_result", "data": { "id": "other", "sources": [], "error": "There is no such document." } },
        { "event": "delta", "data": { "text": "🦆 swim [1]" } },
        { "event": "citation",
            "data": { "n": 1, "chunk_id": "chunk-1", "document_id": DOCUMENT, "filename": "Ducks.PDF", "start": 21, "end": 24 } },
        { "event": "delta", "data": { "text": " and pump [2]" } },
        { "event": "citation",
            "data": { "n": 2, "chunk_id": "chunk-2", "document_id": OTHER, "filename": "pumps", "start": 34, "end": 37 } },
        { "event": "usage", "data": { "input_tokens": 12, "output_tokens": 7 } },
        done("stop"),
    ]))
}

/// An answer that its model broke off.
pub(crate) fn failure() -> Vec<Event> {
    let problem = json!({ "type": "about:blank", "title": "Bad Gateway", "status": 502, "code": "model_broken",
        "detail": "The language model broke off.", "request_id": "1" });
    events(&json!([
        start(),
        { "event": "delta", "data": { "text": "Ducks" } },
        { "event": "error", "data": problem },
        done("error"),
    ]))
}

/// An answer that its user stopped.
pub(crate) fn stopped() -> Vec<Event> {
    events(&json!([start(), { "event": "delta", "data": { "text": "Ducks" } }, done("stopped")]))
}

fn start() -> Value {
    let data = json!({ "message_id": MESSAGE, "conversation_id": CONVERSATION, "model": "scripted" });
    json!({ "event": "start", "data": data })
}

fn done(reason: &str) -> Value {
    json!({ "event": "done", "data": { "finish_reason": reason, "message_id": MESSAGE } })
}

fn events(events: &Value) -> Vec<Event> {
    serde_json::from_value(events.clone()).unwrap()
}
