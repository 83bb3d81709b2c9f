//! Queries of Prometheus.

use shared::metrics::{About, Kind, Metric};

/// The time over which Grafana has something averaged: as short as the scrapes allow.
const OVER: &str = "[$__rate_interval]";

/// A query, and what its curves are called.
pub(super) struct Query {
    pub(super) expression: String,
    pub(super) legend: String,
}

/// How many a second, of all or by a label.
pub(super) fn rate(metric: &dyn Metric, by: Option<&str>) -> Query {
    Query { expression: per_second(metric, by, &[]), legend: legend(metric, by) }
}

/// The same of those with a value of a label.
pub(super) fn rate_of(metric: &dyn Metric, label: &str, value: &str) -> Query {
    Query { expression: per_second(metric, None, &[(label, value)]), legend: value.to_owned() }
}

/// The share of those with one of these values of a label.
pub(super) fn share(metric: &dyn Metric, label: &str, values: &[&str], legend: &str) -> Query {
    let wanted: Vec<_> = values.iter().map(|value| per_second(metric, None, &[(label, value)])).collect();
    let all = per_second(metric, None, &[]);
    Query { expression: format!("({}) / {all}", wanted.join(" + ")), legend: legend.to_owned() }
}

/// The time, or size, that a share of all is below, of all or by a label.
pub(super) fn quantile(share: f64, metric: &dyn Metric, by: Option<&str>) -> Query {
    let about = known(metric, by.into_iter());
    assert!(about.kind == Kind::Histogram, "{} has no quantiles", about.name);
    let grouped = by.map_or_else(|| "le".to_owned(), |label| format!("le, {label}"));
    let expression = format!("histogram_quantile({share}, sum by ({grouped}) (rate({}_bucket{OVER})))", about.name);
    let legend = by.map_or_else(|| format!("p{}", share * 100.0), |label| format!("{{{{{label}}}}}"));
    Query { expression, legend }
}

/// The median, and what one in twenty and one in a hundred take longer than.
pub(super) fn quantiles(metric: &dyn Metric) -> Vec<Query> {
    [0.5, 0.95, 0.99].map(|share| quantile(share, metric, None)).into()
}

/// How much it is now, of all or by a label.
pub(super) fn level(metric: &dyn Metric, by: Option<&str>) -> Query {
    let about = known(metric, by.into_iter());
    assert!(about.kind == Kind::Gauge, "{} has no level", about.name);
    Query { expression: format!("{} ({})", sum(by), about.name), legend: legend(metric, by) }
}

impl Query {
    /// The same in other units.
    pub(super) fn times(self, factor: &str) -> Self {
        Self { expression: format!("{} * {factor}", self.expression), ..self }
    }

    /// The same under another name.
    pub(super) fn called(self, legend: &str) -> Self {
        Self { legend: legend.to_owned(), ..self }
    }
}

fn per_second(metric: &dyn Metric, by: Option<&str>, only: &[(&str, &str)]) -> String {
    let about = known(metric, by.into_iter().chain(only.iter().map(|(label, _)| *label)));
    for (label, value) in only {
        assert!(about.values.is_empty() || about.values.contains(value), "{} has no {label} {value}", about.name);
    }
    let only: Vec<_> = only.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let only = if only.is_empty() { String::new() } else { format!("{{{}}}", only.join(",")) };
    let suffix = match about.kind {
        Kind::Counter => "",
        Kind::Histogram => "_count",
        Kind::Gauge => panic!("{} does not only grow", about.name),
    };
    format!("{} (rate({}{suffix}{only}{OVER}))", sum(by), about.name)
}

fn sum(by: Option<&str>) -> String {
    by.map_or_else(|| "sum".to_owned(), |label| format!("sum by ({label})"))
}

fn legend(metric: &dyn Metric, by: Option<&str>) -> String {
    let name = metric.about().name.trim_start_matches("ragline_").trim_end_matches("_total");
    by.map_or_else(|| name.trim_end_matches("_seconds").replace('_', " "), |label| format!("{{{{{label}}}}}"))
}

fn known<'a>(metric: &dyn Metric, labels: impl Iterator<Item = &'a str>) -> About {
    let about = *metric.about();
    for label in labels {
        assert!(about.labels.contains(&label), "{} has no label {label}", about.name);
    }
    about
}
