//! Ragline's own stream: each event by its name, its number and its data.

use axum::response::sse;
use utoipa::ToSchema;

use super::with_data;
use crate::event::Event;

/// The event as a server-sent one; events of an answer are numbered from 1.
pub(crate) fn encode(event: &Event, number: u64) -> sse::Event {
    // An event is an object of its name and its data.
    let mut parts = serde_json::to_value(event).unwrap_or_default();
    let data = parts["data"].take();
    let name = parts["event"].as_str().unwrap_or_default();
    with_data(sse::Event::default().id(number.to_string()).event(name), &data)
}

/// An event of the stream, as it is described.
#[derive(ToSchema)]
#[schema(as = AnswerEvent)]
#[expect(dead_code, reason = "an event is encoded part by part")]
pub(crate) struct Sent {
    /// Counts from 1.
    #[schema(pattern = "^[1-9][0-9]*$")]
    id: String,
    event: Name,
    /// JSON; `docs/API.md` says what is in it.
    data: String,
}

#[derive(ToSchema)]
#[schema(as = AnswerEventName, rename_all = "snake_case")]
#[expect(dead_code, reason = "an event names itself")]
enum Name {
    Start,
    ToolCall,
    ToolResult,
    Delta,
    Citation,
    Usage,
    Error,
    Done,
}
