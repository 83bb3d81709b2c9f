//! The dashboards for Grafana, and the table of metrics in the documentation, made from the list of metrics: what a query names
//! is a metric of the code, with labels it has.

mod cloudwatch;
mod grafana;
mod prometheus;
mod query;
mod table;

use serde_json::Value;

use crate::data;

/// The page that has a table of all metrics.
const OPERATIONS: &str = "docs/OPERATIONS.md";

/// The dashboards and the page of operations with the paths of their files, as the code makes them.
pub fn made() -> Vec<(&'static str, String)> {
    let text = |dashboard: Value| serde_json::to_string_pretty(&dashboard).unwrap() + "\n";
    vec![
        ("ops/grafana/prometheus.json", text(prometheus::dashboard())),
        ("ops/grafana/cloudwatch.json", text(cloudwatch::dashboard())),
        (OPERATIONS, table::within(&data::project_file(OPERATIONS))),
    ]
}

/// Writes them.
pub fn write() {
    for (path, text) in made() {
        std::fs::write(data::project().join(path), text).unwrap();
    }
}
