//! Tests of the whole over HTTP, with a real Redis and an embedded DynamoDB.

#![expect(clippy::cast_possible_truncation, reason = "numbers in the tests are small")]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod access;
mod authorizer;
mod cache;
mod changes;
mod collections;
mod consistency;
mod content;
mod cors;
mod costs;
mod counters;
mod crashes;
mod cursors;
mod documents;
mod door_faults;
mod doors;
mod errors;
mod events;
mod extracts;
mod faults;
mod flow;
mod follow_ups;
mod guesses;
mod hostile_files;
mod hostile_tokens;
mod idempotency;
mod infrastructure;
mod ingestion;
mod isolation;
mod keys;
mod limiter;
mod limits;
mod lookups;
mod minilm;
mod moving;
mod mutations;
mod openapi;
mod providers;
mod queues;
mod quotas;
mod races;
mod records;
mod reembedding;
mod replacing;
mod restart;
mod revocation;
mod template;
mod tokens;
mod uploads;
mod usage;
mod users;
mod vouched;
mod webhook_deliveries;
mod webhook_routes;
