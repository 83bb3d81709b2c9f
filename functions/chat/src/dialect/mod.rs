//! How events are written to a client. A dialect makes frames of a `text/event-stream` of them.

pub(crate) mod native;
