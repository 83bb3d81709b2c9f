//! How events are written to a client. A dialect makes frames of a `text/event-stream` of them, or one document.

pub(crate) mod ai_sdk;
mod frames;
pub(crate) mod native;
pub(crate) mod openai;
#[cfg(test)]
mod sample;

pub(crate) use self::frames::{end, frame, stream, with_data};

/// A frame of a stream whose events have neither names nor numbers, as it is described.
#[derive(utoipa::ToSchema)]
#[schema(as = DataFrame)]
#[expect(dead_code, reason = "a frame is encoded as a whole")]
pub(crate) struct Data {
    /// JSON, or `[DONE]` in the last one.
    data: String,
}
