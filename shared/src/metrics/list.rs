//! All metrics there are. Dashboards, alerts and documentation are held against this list.

use super::metric::{About, Counter, Gauge, Histogram, Metric, Unit};
use super::requests::Requests;

/// Defines a metric with its documentation as help text, and [`ALL`] with all of them.
macro_rules! list {
    ($($(#[doc = $help:literal])+ $name:ident: $kind:ident = $about:expr;)*) => {
        $($(#[doc = $help])+ pub static $name: $kind = $kind::new(About { help: concat!($($help),+), ..$about });)*

        /// All metrics, in the order of this list.
        pub static ALL: &[&dyn Metric] = &[$(&$name),*];
    };
}

list! {
    /// Time until an answer begins; of a stream, until its first byte.
    HTTP_REQUEST: Requests = About::times("ragline_http_request_seconds").by_any(&["method", "route", "status"]);
    /// Requests that failed on our side, by route.
    HTTP_SERVER_ERRORS: Counter = About::count("ragline_http_server_errors_total").by_any(&["route"]).published();

    /// Requests that the door let in.
    DOOR_ALLOWED: Counter = About::count("ragline_door_allowed_total");
    /// Requests that the door refused, by the bucket that lacked tokens.
    DOOR_DENIED: Counter = About::count("ragline_door_denied_total").by(&["policy"], &["ip", "user", "tenant"]).published();
    /// Refusals that were known in this process, without asking the cache.
    DOOR_DENIED_FROM_MEMORY: Counter = About::count("ragline_door_denied_from_memory_total");
    /// Decisions taken without the cache.
    DOOR_FALLBACK: Counter =
        About::count("ragline_door_fallback_total").by(&["decision"], &["allowed", "denied"]).published();
    /// Requests with an Idempotency-Key, by what became of them.
    IDEMPOTENCY: Counter =
        About::count("ragline_idempotency_total").by(&["outcome"], &["first", "replayed", "in_progress", "mismatch"]);

    /// Requests for answers that may be cached, by what the cache had to do with them.
    CACHE_REQUESTS: Counter = About::count("ragline_cache_requests_total")
        .by(&["status"], &["hit", "miss", "stale", "collapsed", "bypass"])
        .publishing(&["hit", "miss"]);
    /// Searches on the way to answers in chats, by what the cache had to do with them.
    RECALLS: Counter = About::count("ragline_recalls_total").by(&["outcome"], &["hit", "miss", "bypass"]);
    /// Answers written to the cache.
    CACHE_FILLS: Counter = About::count("ragline_cache_fills_total");
    /// Epochs replaced: what was cached of a scope is served no more.
    EPOCHS_RENEWED: Counter = About::count("ragline_epochs_renewed_total");
    /// Changes the cache could not be told of.
    CACHE_NOT_TOLD: Counter = About::count("ragline_cache_not_told_total").published();

    /// Time between a command to Redis and its answer.
    REDIS_COMMAND: Histogram = About::times("ragline_redis_command_seconds").published();
    /// Time to open a connection to Redis.
    REDIS_CONNECTION: Histogram = About::times("ragline_redis_connection_seconds");
    /// Commands to Redis without an answer.
    REDIS_FAILURES: Counter = About::count("ragline_redis_failures_total").published();
    /// Connections to Redis replaced because they were found dead.
    REDIS_RECONNECTIONS: Counter = About::count("ragline_redis_reconnections_total");
    /// 1 while Redis is left alone.
    REDIS_BREAKER_OPEN: Gauge = About::level("ragline_redis_breaker_open");

    /// Time of calls of DynamoDB with all their attempts, by operation.
    DYNAMODB_CALL: Histogram = About::times("ragline_dynamodb_call_seconds").by(&["operation"], &[
        "BatchGetItem", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "SearchVectors",
        "TransactWriteItems", "UpdateItem", "other",
    ]);
    /// Further attempts at calls of DynamoDB.
    DYNAMODB_RETRIES: Counter = About::count("ragline_dynamodb_retries_total");
    /// Calls of DynamoDB that got no answer, or one of a server that fails.
    DYNAMODB_FAILURES: Counter = About::count("ragline_dynamodb_failures_total");

    /// Time of calls of the object storage until their answers begin, by operation.
    STORAGE_CALL: Histogram =
        About::times("ragline_storage_call_seconds").by(&["operation"], &["get", "put", "put_multipart"]);
    /// Calls of the object storage that failed, but for objects that are not there.
    STORAGE_FAILURES: Counter = About::count("ragline_storage_failures_total");

    /// Messages that wait in a queue of this machine.
    QUEUE_WAITING: Gauge = About::level("ragline_queue_waiting").by(&["queue"], &["arrivals", "ingest", "webhooks"]);
    /// Dead letters of a queue of this machine.
    QUEUE_DEAD: Gauge = About::level("ragline_queue_dead").by(&["queue"], &["arrivals", "ingest", "webhooks"]);
    /// Events that workers of this machine work on.
    WORKERS_BUSY: Gauge = About::level("ragline_workers_busy").by(&["queue"], &["arrivals", "ingest", "webhooks"]);

    /// Time that a document spends in each stage of ingestion.
    INGEST_STAGE: Histogram = About::times("ragline_ingest_stage_seconds")
        .by(&["stage"], &["waiting", "extracting", "embedding", "indexing"]);
    /// Time of the work on a document, from when a worker took it up until it was ready.
    INGEST_DOCUMENT: Histogram = About::times("ragline_ingest_document_seconds").published();
    /// Documents that came to an end, by outcome.
    INGEST_DOCUMENTS: Counter =
        About::count("ragline_ingest_documents_total").by(&["outcome"], &["ready", "failed"]).published();
    /// Passages of documents that became ready.
    INGEST_PASSAGES: Counter = About::count("ragline_ingest_passages_total");
    /// Attempts at messages that failed; they come back.
    INGEST_RETRIES: Counter = About::count("ragline_ingest_retries_total").published();

    /// Time of calls of the embedding model.
    EMBEDDER_CALL: Histogram = About::times("ragline_embedder_call_seconds").published();
    /// Texts in a call of the embedding model.
    EMBEDDER_BATCH: Histogram = About::sizes("ragline_embedder_batch_texts");
    /// Calls of the embedding model that failed.
    EMBEDDER_FAILURES: Counter = About::count("ragline_embedder_failures_total").published();
    /// Vectors of queries, by where they came from.
    QUERY_VECTORS: Counter = About::count("ragline_query_vectors_total").by(&["source"], &["cache", "embedder"]);

    /// Time of the stages of a search.
    SEARCH_STAGE: Histogram = About::times("ragline_search_stage_seconds")
        .by(&["stage"], &["query", "candidates", "documents", "rank", "rerank", "select"]);

    /// Answers that are being made in this process.
    CHAT_STREAMS: Gauge = About::level("ragline_chat_streams");
    /// Time from when an answer was asked for to its first words.
    CHAT_FIRST_TOKEN: Histogram = About::times("ragline_chat_first_token_seconds").published();
    /// Time of answers, by how they ended.
    CHAT_ANSWER: Histogram = About::times("ragline_chat_answer_seconds")
        .by(&["outcome"], &["stop", "length", "stopped", "error", "budget"])
        .publishing(&["stop", "error"]);
    /// Tokens that language models read and wrote.
    CHAT_TOKENS: Counter =
        About::count("ragline_chat_tokens_total").by(&["direction"], &["input", "output"]).published();
    /// What tokens cost, of models with a price, in millionths of a US dollar.
    CHAT_COST: Counter =
        About::count("ragline_chat_cost_microdollars_total").of(Unit::Microdollars).published();
    /// Calls of tools by language models, by outcome.
    CHAT_TOOL_CALLS: Counter =
        About::count("ragline_chat_tool_calls_total").by(&["outcome"], &["done", "failed"]);
    /// Answers refused because as many were being made as may be, by the limit.
    CHAT_STREAMS_REFUSED: Counter = About::count("ragline_chat_streams_refused_total")
        .by(&["policy"], &["user_streams", "tenant_streams"]);
    /// Answers refused, or ended early, because the tenant's budget was exhausted.
    CHAT_BUDGET_EXHAUSTED: Counter = About::count("ragline_chat_budget_exhausted_total");

    /// Time of attempts to tell a webhook.
    WEBHOOK_ATTEMPT: Histogram = About::times("ragline_webhook_attempt_seconds");
    /// Attempts to tell a webhook, by outcome; what failed is tried again, what is given up is not.
    WEBHOOK_DELIVERIES: Counter = About::count("ragline_webhook_deliveries_total")
        .by(&["outcome"], &["delivered", "failed", "given_up"])
        .publishing(&["delivered", "given_up"]);

    /// Age of the oldest record of each batch of the stream when it was worked on.
    STREAM_LAG: Histogram = About::times("ragline_stream_lag_seconds");
    /// Records of the stream that were worked on.
    STREAM_RECORDS: Counter = About::count("ragline_stream_records_total");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::metric::Kind;
    use super::*;

    #[test]
    fn names_say_what_they_are_of() {
        for about in ALL.iter().map(|metric| metric.about()) {
            let name = about.name;
            let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(name.starts_with("ragline_") && plain(name), "{name}");
            assert_eq!(name.ends_with("_total"), about.kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_seconds"), about.unit == Unit::Seconds, "{name}");
            assert!(about.help.ends_with('.') && about.help.len() > 10, "{name}");
            assert!(about.labels.iter().all(|label| plain(label) && *label != "tenant"), "{name}");
            assert!(about.published.is_none_or(|values| values.iter().all(|value| about.values.contains(value))));
        }
    }

    #[test]
    fn no_name_is_given_twice() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.about().name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
