//! How events are written to a client. A dialect makes frames of a `text/event-stream` of them, or one document.

pub(crate) mod ai_sdk;
mod frames;
pub(crate) mod native;
pub(crate) mod openai;
#[cfg(test)]
mod sample;

pub(crate) use self::frames::{end, frame, stream, with_data};
