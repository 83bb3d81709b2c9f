//! What CloudWatch knows of a stack: what functions publish, and beside it what AWS measures by itself.

use serde_json::{Value, json};
use shared::metrics::{CloudWatchMetric, cloudwatch};

use super::grafana::{self, Panel, Row};

/// The namespace that `METRICS_NAMESPACE` has in the template.
const NAMESPACE: &str = "Ragline/$stack";

pub(super) fn dashboard() -> Value {
    let stack = json!({
        "type": "textbox", "name": "stack", "label": "Stack", "query": "ragline-dev",
        "current": { "text": "ragline-dev", "value": "ragline-dev", "selected": false },
    });
    let stage = json!({
        "type": "textbox", "name": "stage", "label": "Stage", "query": "v1",
        "current": { "text": "v1", "value": "v1", "selected": false },
    });
    grafana::dashboard(
        "ragline-cloudwatch",
        "Ragline on AWS",
        "cloudwatch",
        vec![stack, stage],
        vec![requests(), dependencies(), work(), answers()],
    )
}

fn requests() -> Row {
    Row {
        title: "Requests",
        panels: vec![
            Panel {
                title: "Requests",
                unit: "short",
                targets: ["Count", "4XXError", "5XXError"].map(|name| api(name, "Sum")).into(),
            },
            Panel {
                title: "Response time (ms)",
                unit: "ms",
                targets: ["p50", "p95", "p99"].map(|statistic| api("Latency", statistic)).into(),
            },
            counted("Failures by route", &["HttpServerErrors"]),
            counted("Answers from the cache", &["CacheRequestsHit", "CacheRequestsMiss"]),
            counted("Refused, by the bucket that was empty", &["DoorDeniedIp", "DoorDeniedTenant", "DoorDeniedUser"]),
            counted("Without the cache", &["CacheNotTold", "DoorFallbackAllowed", "DoorFallbackDenied"]),
        ],
    }
}

fn dependencies() -> Row {
    Row {
        title: "Dependencies",
        panels: vec![
            timed("Redis: time of commands", "RedisCommandSeconds"),
            counted("Redis: failures", &["RedisFailures"]),
            timed("Embedding model: time of calls", "EmbedderCallSeconds"),
            counted("Embedding model: failures", &["EmbedderFailures"]),
        ],
    }
}

fn work() -> Row {
    Row {
        title: "Documents and webhooks",
        panels: vec![
            counted("Documents by outcome", &["IngestDocumentsReady", "IngestDocumentsFailed", "IngestRetries"]),
            timed("Time of a document", "IngestDocumentSeconds"),
            counted("Webhooks", &["WebhookDeliveriesDelivered", "WebhookDeliveriesGivenUp"]),
        ],
    }
}

fn answers() -> Row {
    Row {
        title: "Answers",
        panels: vec![
            timed("Time to the first words", "ChatFirstTokenSeconds"),
            timed("Time of an answer", "ChatAnswerSecondsStop"),
            Panel {
                title: "Answers that failed",
                unit: "short",
                targets: vec![own("ChatAnswerSecondsError", "SampleCount")],
            },
            counted("Tokens", &["ChatTokensInput", "ChatTokensOutput"]),
            counted("Cost (millionths of a dollar)", &["ChatCostMicrodollars"]),
        ],
    }
}

fn counted(title: &'static str, names: &[&str]) -> Panel {
    Panel { title, unit: "short", targets: names.iter().map(|name| own(name, "Sum")).collect() }
}

fn timed(title: &'static str, name: &str) -> Panel {
    Panel { title, unit: "s", targets: ["p50", "p95", "p99"].map(|statistic| own(name, statistic)).into() }
}

/// A metric that functions publish.
fn own(name: &str, statistic: &str) -> Value {
    let CloudWatchMetric { dimension, .. } = cloudwatch()
        .into_iter()
        .find(|metric| metric.name == name)
        .unwrap_or_else(|| panic!("nothing is called {name}"));
    let dimensions = dimension.map_or_else(|| json!({}), |(label, _)| json!({ label: ["*"] }));
    target(NAMESPACE, name, &dimensions, statistic)
}

/// A metric of API Gateway.
fn api(name: &str, statistic: &str) -> Value {
    target("AWS/ApiGateway", name, &json!({ "ApiName": ["$stack"], "Stage": ["$stage"] }), statistic)
}

fn target(namespace: &str, name: &str, dimensions: &Value, statistic: &str) -> Value {
    json!({
        "queryMode": "Metrics",
        "metricQueryType": 0,
        "metricEditorMode": 0,
        "id": "",
        "region": "default",
        "namespace": namespace,
        "metricName": name,
        "dimensions": dimensions,
        "matchExact": true,
        "statistic": statistic,
        "period": "",
    })
}
