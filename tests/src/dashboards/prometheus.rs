//! What Prometheus knows of an installation.

use serde_json::{Value, json};
use shared::metrics as m;

use super::grafana::{self, Panel, Row};
use super::query::{Query, level, quantile, quantiles, rate, rate_of, share};

pub(super) fn dashboard() -> Value {
    grafana::dashboard(
        "ragline",
        "Ragline",
        "prometheus",
        Vec::new(),
        vec![requests(), door_and_cache(), dependencies(), documents(), searches(), answers(), webhooks_and_stream()],
    )
}

fn panel(title: &'static str, unit: &'static str, queries: Vec<Query>) -> Panel {
    let target = |query: Query| json!({ "expr": query.expression, "legendFormat": query.legend, "range": true });
    Panel { title, unit, targets: queries.into_iter().map(target).collect() }
}

fn requests() -> Row {
    let failed = || share(&m::HTTP_REQUEST, "status", &["5xx"], "failed");
    let refused = share(&m::HTTP_REQUEST, "status", &["4xx"], "refused");
    Row {
        title: "Requests",
        panels: vec![
            panel("Requests by status", "reqps", vec![rate(&m::HTTP_REQUEST, Some("status"))]),
            panel("Failed and refused", "percentunit", vec![failed(), refused]),
            panel("Response time", "s", quantiles(&m::HTTP_REQUEST)),
            panel("Response time by route, p95", "s", vec![quantile(0.95, &m::HTTP_REQUEST, Some("route"))]),
            panel("Requests by route", "reqps", vec![rate(&m::HTTP_REQUEST, Some("route"))]),
            panel("Failures by route", "reqps", vec![rate(&m::HTTP_SERVER_ERRORS, Some("route"))]),
        ],
    }
}

fn door_and_cache() -> Row {
    Row {
        title: "Door and cache",
        panels: vec![
            panel(
                "Decisions",
                "reqps",
                vec![
                    rate(&m::DOOR_ALLOWED, None),
                    rate(&m::DOOR_DENIED_FROM_MEMORY, None),
                    rate(&m::DOOR_FALLBACK, Some("decision")).called("without the cache: {{decision}}"),
                ],
            ),
            panel("Refused, by the bucket that was empty", "reqps", vec![rate(&m::DOOR_DENIED, Some("policy"))]),
            panel("Idempotent requests", "reqps", vec![rate(&m::IDEMPOTENCY, Some("outcome"))]),
            panel(
                "Answers from the cache",
                "percentunit",
                vec![share(&m::CACHE_REQUESTS, "status", &["hit", "collapsed"], "hits")],
            ),
            panel("Requests to the cache", "reqps", vec![rate(&m::CACHE_REQUESTS, Some("status"))]),
            panel(
                "Changes of the cache",
                "ops",
                vec![rate(&m::CACHE_FILLS, None), rate(&m::EPOCHS_RENEWED, None), rate(&m::CACHE_NOT_TOLD, None)],
            ),
        ],
    }
}

fn dependencies() -> Row {
    Row {
        title: "Dependencies",
        panels: vec![
            panel("Redis: time of commands", "s", quantiles(&m::REDIS_COMMAND)),
            panel(
                "Redis: commands and failures",
                "ops",
                vec![
                    rate(&m::REDIS_COMMAND, None),
                    rate(&m::REDIS_FAILURES, None),
                    rate(&m::REDIS_RECONNECTIONS, None),
                ],
            ),
            panel(
                "Redis: connections",
                "s",
                vec![
                    quantile(0.95, &m::REDIS_CONNECTION, None).called("time to connect, p95"),
                    level(&m::REDIS_BREAKER_OPEN, None).called("processes that leave it alone"),
                ],
            ),
            panel("DynamoDB: time of calls, p95", "s", vec![quantile(0.95, &m::DYNAMODB_CALL, Some("operation"))]),
            panel("DynamoDB: calls", "ops", vec![rate(&m::DYNAMODB_CALL, Some("operation"))]),
            panel(
                "DynamoDB: attempts and failures",
                "ops",
                vec![rate(&m::DYNAMODB_RETRIES, None), rate(&m::DYNAMODB_FAILURES, None)],
            ),
            panel("Object storage: time of calls, p95", "s", vec![quantile(0.95, &m::STORAGE_CALL, Some("operation"))]),
            panel(
                "Object storage: calls",
                "ops",
                vec![rate(&m::STORAGE_CALL, Some("operation")), rate(&m::STORAGE_FAILURES, None)],
            ),
            panel("Embedding model: time of calls", "s", quantiles(&m::EMBEDDER_CALL)),
            panel("Embedding model: texts in a call", "short", quantiles(&m::EMBEDDER_BATCH)),
            panel(
                "Embedding model: calls and failures",
                "ops",
                vec![rate(&m::EMBEDDER_CALL, None), rate(&m::EMBEDDER_FAILURES, None)],
            ),
        ],
    }
}

fn documents() -> Row {
    Row {
        title: "Documents",
        panels: vec![
            panel(
                "Documents by outcome",
                "cps",
                vec![rate(&m::INGEST_DOCUMENTS, Some("outcome")), rate(&m::INGEST_RETRIES, None).called("tried again")],
            ),
            panel("Time of a document", "s", quantiles(&m::INGEST_DOCUMENT)),
            panel("Time by stage, p95", "s", vec![quantile(0.95, &m::INGEST_STAGE, Some("stage"))]),
            panel("Passages", "cps", vec![rate(&m::INGEST_PASSAGES, None)]),
            panel("Waiting messages", "short", vec![level(&m::QUEUE_WAITING, Some("queue"))]),
            panel(
                "Workers and dead letters",
                "short",
                vec![
                    level(&m::WORKERS_BUSY, Some("queue")).called("at work: {{queue}}"),
                    level(&m::QUEUE_DEAD, Some("queue")).called("dead letters: {{queue}}"),
                ],
            ),
        ],
    }
}

fn searches() -> Row {
    Row {
        title: "Searches",
        panels: vec![
            panel("Time by stage, p95", "s", vec![quantile(0.95, &m::SEARCH_STAGE, Some("stage"))]),
            panel("Searches", "ops", vec![rate_of(&m::SEARCH_STAGE, "stage", "select").called("searches")]),
            panel("Vectors of queries", "ops", vec![rate(&m::QUERY_VECTORS, Some("source"))]),
            panel("Searches in chats", "ops", vec![rate(&m::RECALLS, Some("outcome"))]),
        ],
    }
}

fn answers() -> Row {
    Row {
        title: "Answers",
        panels: vec![
            panel("Time to the first words", "s", quantiles(&m::CHAT_FIRST_TOKEN)),
            panel("Answers by outcome", "cps", vec![rate(&m::CHAT_ANSWER, Some("outcome"))]),
            panel("Time of an answer", "s", quantiles(&m::CHAT_ANSWER)),
            panel("Tokens", "cps", vec![rate(&m::CHAT_TOKENS, Some("direction"))]),
            panel(
                "Dollars an hour",
                "currencyUSD",
                vec![rate(&m::CHAT_COST, None).times("3600 / 1e6").called("of models with a price")],
            ),
            panel("Calls of tools", "cps", vec![rate(&m::CHAT_TOOL_CALLS, Some("outcome"))]),
            panel("Answers being made", "short", vec![level(&m::CHAT_STREAMS, None)]),
            panel(
                "Answers refused",
                "cps",
                vec![rate(&m::CHAT_STREAMS_REFUSED, Some("policy")), rate(&m::CHAT_BUDGET_EXHAUSTED, None)],
            ),
        ],
    }
}

fn webhooks_and_stream() -> Row {
    Row {
        title: "Webhooks and stream",
        panels: vec![
            panel("Attempts by outcome", "cps", vec![rate(&m::WEBHOOK_DELIVERIES, Some("outcome"))]),
            panel("Time of an attempt", "s", quantiles(&m::WEBHOOK_ATTEMPT)),
            panel("Lag of the stream", "s", quantiles(&m::STREAM_LAG)),
            panel("Records of the stream", "cps", vec![rate(&m::STREAM_RECORDS, None)]),
        ],
    }
}
