//! What is counted and measured, by name: the one place that knows them. Nothing is recorded unless the process installs a
//! recorder of the `metrics` facade. No tenant, user or address is ever a label: each value of a label is a series that
//! somebody pays for.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

/// A policy as a label.
pub type PolicyLabel = &'static str;

/// Requests that the door let in.
pub fn door_allowed() {
    counter!("ragline_door_allowed_total").increment(1);
}

/// Requests that the door refused, by the policy that was violated.
pub fn door_denied(policy: PolicyLabel) {
    counter!("ragline_door_denied_total", "policy" => policy).increment(1);
}

/// Refusals that were known in this process, without asking the cache.
pub fn door_denied_from_memory() {
    counter!("ragline_door_denied_from_memory_total").increment(1);
}

/// Decisions taken without the cache, `allowed` or `denied`.
pub fn door_fallback(decision: &'static str) {
    counter!("ragline_door_fallback_total", "decision" => decision).increment(1);
}

/// What became of a request for an answer that may be cached: `hit`, `miss`, `stale`, `bypass`, `collapsed`.
pub fn cache_status(status: &'static str) {
    counter!("ragline_cache_requests_total", "status" => status).increment(1);
}

/// Answers written to the cache.
pub fn cache_filled() {
    counter!("ragline_cache_fills_total").increment(1);
}

/// What became of a request with an `Idempotency-Key`: `first`, `replayed`, `in_progress`, `mismatch`.
pub fn idempotency(outcome: &'static str) {
    counter!("ragline_idempotency_total", "outcome" => outcome).increment(1);
}

/// Changes the cache could not be told of.
pub fn cache_not_told() {
    counter!("ragline_cache_not_told_total").increment(1);
}

/// The time between a command and its answer.
pub fn redis_answered(round_trip: Duration) {
    histogram!("ragline_redis_round_trip_seconds").record(round_trip);
}

/// Commands without an answer.
pub fn redis_failed() {
    counter!("ragline_redis_failures_total").increment(1);
}

/// Connections replaced because they were found dead.
pub fn redis_reconnected() {
    counter!("ragline_redis_reconnections_total").increment(1);
}

/// 1 while the cache is left alone.
pub fn breaker_open(open: bool) {
    gauge!("ragline_redis_breaker_open").set(f64::from(u8::from(open)));
}

/// So many answers more, or fewer, are being made in this process.
pub fn chat_streams(more: f64) {
    gauge!("ragline_chat_streams").increment(more);
}

/// The time from when an answer began to its first words.
pub fn chat_first_token(time: Duration) {
    histogram!("ragline_chat_first_token_seconds").record(time);
}

/// Answers that were refused because as many were being made as may be, by the limit.
pub fn chat_stream_refused(policy: PolicyLabel) {
    counter!("ragline_chat_streams_refused_total", "policy" => policy).increment(1);
}

/// Answers that were refused, or ended early, because the tenant's budget was exhausted.
pub fn chat_budget_exhausted() {
    counter!("ragline_chat_budget_exhausted_total").increment(1);
}
