//! Ragline's own stream: each event by its name, its number and its data.

use axum::response::sse;
use serde_json::Value;
use utoipa::ToSchema;

use crate::event::Event;

/// The event as a server-sent one; events of an answer are numbered from 1.
pub(crate) fn encode(event: &Event, number: u64) -> Result<sse::Event, axum::Error> {
    let Ok(Value::Object(mut parts)) = serde_json::to_value(event) else {
        return Err(axum::Error::new("an event that is no JSON"));
    };
    let name = parts.remove("event").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
    sse::Event::default().id(number.to_string()).event(name).json_data(parts.remove("data").unwrap_or_default())
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
