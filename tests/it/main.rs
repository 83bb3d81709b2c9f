//! Tests of the whole over HTTP, with a real Redis and an embedded DynamoDB.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod documents;
mod errors;
mod events;
mod faults;
mod flow;
mod ingestion;
mod isolation;
mod minilm;
mod restart;
mod template;
mod tokens;
