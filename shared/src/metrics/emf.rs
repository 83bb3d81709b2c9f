use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{HistogramFn, Key, KeyName, Metadata, Recorder, SharedString};

use super::list::ALL;
use super::metric::{About, Unit};
use crate::config::Variables;

/// The most numbers of a metric in one document.
const MOST_VALUES: usize = 100;
/// What a document of one invocation takes, in bytes.
const USUAL_LINE: usize = 512;
/// The most numbers that are kept of a metric until they are written.
const MOST_KEPT: usize = 10_000;

/// That of this process.
static INSTALLED: OnceLock<Emf> = OnceLock::new();

/// A recorder for CloudWatch's embedded metric format: lines of the log that CloudWatch makes metrics of. It takes what the
/// list publishes and nothing else, and writes nothing of what did not happen: a metric costs money in each hour in which it is
/// heard of.
///
/// A value of a label becomes part of the name, since each dimension would need a document of its own. Format:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
#[derive(Clone)]
pub struct Emf(Arc<Inner>);

struct Inner {
    namespace: String,
    series: Mutex<BTreeMap<CloudWatchMetric, Numbers>>,
}

/// A metric as CloudWatch knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CloudWatchMetric {
    /// Name and value of its dimension, if it has one; no value where that comes with use.
    pub dimension: Option<(&'static str, String)>,
    /// Its name.
    pub name: String,
    /// A unit of CloudWatch.
    pub unit: &'static str,
}

#[derive(Clone)]
enum Numbers {
    Count(Arc<AtomicU64>),
    Sizes(Arc<Sizes>),
}

#[derive(Default)]
struct Sizes(Mutex<Vec<f64>>);

/// Has metrics written for CloudWatch from now on, to the namespace `METRICS_NAMESPACE`; without that, nothing is recorded.
pub fn publish(variables: &Variables) {
    let Some(namespace) = variables.optional_text("METRICS_NAMESPACE") else { return };
    let emf = Emf::new(namespace);
    if super::install(emf.clone()).is_ok() {
        let _first = INSTALLED.set(emf);
    }
}

/// Writes what happened since the last time, if metrics are written: at the end of each invocation, after which a process may be
/// frozen.
pub fn flush() {
    if let Some(emf) = INSTALLED.get()
        && let Err(error) = emf.write(&mut io::stdout().lock())
    {
        tracing::warn!(%error, "metrics were not written");
    }
}

/// All metrics that CloudWatch may hear of.
pub fn cloudwatch() -> Vec<CloudWatchMetric> {
    ALL.iter().flat_map(|metric| published(metric.about())).collect()
}

/// What CloudWatch may hear of a metric.
pub fn published(about: &About) -> Vec<CloudWatchMetric> {
    match (about.published, about.labels) {
        (None, _) => Vec::new(),
        (Some(_), []) => vec![CloudWatchMetric::new(about, None)],
        (Some([]), _) => vec![CloudWatchMetric::open(about, String::new())],
        (Some(values), _) => values.iter().map(|value| CloudWatchMetric::new(about, Some(value))).collect(),
    }
}

impl CloudWatchMetric {
    fn new(about: &About, value: Option<&str>) -> Self {
        let name = about.name.trim_start_matches("ragline_").trim_end_matches("_total");
        let words = name.split('_').chain(value.into_iter().flat_map(|value| value.split('_')));
        let name = words.map(capitalised).collect();
        let unit = if about.unit == Unit::Seconds { "Seconds" } else { "Count" };
        Self { dimension: None, name, unit }
    }

    /// One of a metric whose label has values that come with use: a dimension.
    fn open(about: &About, value: String) -> Self {
        Self { dimension: about.labels.first().map(|label| (*label, value)), ..Self::new(about, None) }
    }

    /// What is published of a key.
    fn of(key: &Key) -> Option<Self> {
        let about = ALL.iter().map(|metric| metric.about()).find(|about| about.name == key.name())?;
        let (published, label) = (about.published?, key.labels().next());
        match label {
            None => Some(Self::new(about, None)),
            Some(label) if about.values.is_empty() => Some(Self::open(about, label.value().to_owned())),
            Some(label) => published.contains(&label.value()).then(|| Self::new(about, Some(label.value()))),
        }
    }
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1.min(word.len()));
    first.to_uppercase() + rest
}

impl Emf {
    /// A recorder for a namespace.
    pub fn new(namespace: &str) -> Self {
        Self(Arc::new(Inner { namespace: namespace.to_owned(), series: Mutex::default() }))
    }

    /// Writes what happened since the last time, in documents of a line each.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        out.write_all(&self.lines(timestamp)?)?;
        out.flush()
    }

    /// One document for all without a dimension, and for each value of one; more if there are many numbers. Each invocation
    /// ends with this, so it is written as text at once.
    fn lines(&self, timestamp: u128) -> io::Result<Vec<u8>> {
        let series = self.0.series.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest: Vec<_> = series
            .iter()
            .map(|(metric, numbers)| (metric, numbers.take()))
            .filter(|(_, taken)| !taken.is_empty())
            .collect();
        let mut lines = Vec::with_capacity(USUAL_LINE);
        loop {
            let Some(dimension) = rest.first().map(|(metric, _)| &metric.dimension) else { return Ok(lines) };
            let (mut metrics, mut members) = (Vec::with_capacity(USUAL_LINE), Vec::with_capacity(USUAL_LINE));
            for (metric, numbers) in rest.iter_mut().filter(|(metric, _)| metric.dimension == *dimension) {
                let CloudWatchMetric { name, unit, .. } = metric;
                let comma = if metrics.is_empty() { "" } else { "," };
                write!(metrics, r#"{comma}{{"Name":"{name}","Unit":"{unit}"}}"#)?;
                write!(members, r#","{name}":"#)?;
                let later = numbers.split_off(numbers.len().min(MOST_VALUES));
                write_numbers(&mut members, numbers)?;
                *numbers = later;
            }
            write!(lines, r#"{{"_aws":{{"Timestamp":{timestamp},"CloudWatchMetrics":[{{"Namespace":"#)?;
            serde_json::to_writer(&mut lines, &self.0.namespace)?;
            let named = dimension.as_ref().map_or_else(String::new, |(name, _)| format!("\"{name}\""));
            write!(lines, r#","Dimensions":[[{named}]],"Metrics":["#)?;
            lines.append(&mut metrics);
            lines.extend(b"]}]}");
            if let Some((name, value)) = dimension {
                write!(lines, r#","{name}":"#)?;
                serde_json::to_writer(&mut lines, value)?;
            }
            lines.append(&mut members);
            lines.extend(b"}\n");
            rest.retain(|(_, later)| !later.is_empty());
        }
    }

    /// The numbers of a key, if it is published.
    fn numbers(&self, key: &Key, new: impl FnOnce() -> Numbers) -> Option<Numbers> {
        let metric = CloudWatchMetric::of(key)?;
        let mut series = self.0.series.lock().unwrap_or_else(PoisonError::into_inner);
        Some(series.entry(metric).or_insert_with(new).clone())
    }
}

/// To a microsecond: what a line holds is paid for by the byte.
fn write_numbers(out: &mut Vec<u8>, numbers: &[f64]) -> io::Result<()> {
    if let [only] = numbers {
        return write_number(out, *only);
    }
    for (place, number) in numbers.iter().enumerate() {
        out.push(if place == 0 { b'[' } else { b',' });
        write_number(out, *number)?;
    }
    out.write_all(b"]")
}

fn write_number(out: &mut Vec<u8>, number: f64) -> io::Result<()> {
    let rounded = (number * 1e6).round() / 1e6;
    // Quicker than how numbers are displayed, but it says 2.0 for 2.
    if rounded.fract() == 0.0 { write!(out, "{rounded}") } else { Ok(serde_json::to_writer(out, &rounded)?) }
}

impl Numbers {
    fn take(&self) -> Vec<f64> {
        match self {
            // Most of them did not happen.
            Self::Count(count) if count.load(Ordering::Relaxed) == 0 => Vec::new(),
            Self::Count(count) => vec![count.swap(0, Ordering::Relaxed) as f64],
            Self::Sizes(sizes) => std::mem::take(&mut *sizes.0.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

impl HistogramFn for Sizes {
    fn record(&self, value: f64) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if values.len() < MOST_KEPT {
            values.push(value);
        }
    }
}

impl Recorder for Emf {
    fn describe_counter(&self, _: KeyName, _: Option<metrics::Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<metrics::Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<metrics::Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> metrics::Counter {
        match self.numbers(key, || Numbers::Count(Arc::default())) {
            Some(Numbers::Count(count)) => metrics::Counter::from_arc(count),
            _ => metrics::Counter::noop(),
        }
    }

    /// What one of many environments holds at a moment says nothing of all of them.
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        match self.numbers(key, || Numbers::Sizes(Arc::default())) {
            Some(Numbers::Sizes(sizes)) => metrics::Histogram::from_arc(sizes),
            _ => metrics::Histogram::noop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics::{Label, Level};
    use serde_json::{Value, json};

    use super::super::metric::Kind;
    use super::*;

    const METADATA: Metadata<'static> = Metadata::new("test", Level::INFO, None);

    fn key(name: &'static str, label: Option<(&'static str, &'static str)>) -> Key {
        Key::from_parts(name, label.map(|(name, value)| Label::new(name, value)).into_iter().collect::<Vec<_>>())
    }

    fn documents(emf: &Emf) -> Vec<Value> {
        let lines = String::from_utf8(emf.lines(5).unwrap()).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn hit(emf: &Emf) -> metrics::Counter {
        emf.register_counter(&key("ragline_cache_requests_total", Some(("status", "hit"))), &METADATA)
    }

    #[test]
    fn a_document_holds_what_happened_and_is_written_once() {
        let emf = Emf::new("Ragline/test");
        let times = emf.register_histogram(&key("ragline_redis_command_seconds", None), &METADATA);
        let unpublished =
            emf.register_counter(&key("ragline_cache_requests_total", Some(("status", "stale"))), &METADATA);
        let untouched = emf.register_counter(&key("ragline_redis_failures_total", None), &METADATA);
        assert!(documents(&emf).is_empty());
        hit(&emf).increment(2);
        times.record(0.000_512_4);
        times.record(0.001);
        unpublished.increment(1);
        let expected = json!({
            "_aws": { "Timestamp": 5, "CloudWatchMetrics": [{
                "Namespace": "Ragline/test",
                "Dimensions": [[]],
                "Metrics": [
                    { "Name": "CacheRequestsHit", "Unit": "Count" }, { "Name": "RedisCommandSeconds", "Unit": "Seconds" },
                ],
            }] },
            "CacheRequestsHit": 2,
            "RedisCommandSeconds": [0.000_512, 0.001],
        });
        assert_eq!(documents(&emf), [expected]);
        assert!(documents(&emf).is_empty());
        untouched.increment(1);
        assert_eq!(documents(&emf)[0]["RedisFailures"], 1);
    }

    #[test]
    fn a_route_is_a_dimension_in_a_document_of_its_own() {
        let emf = Emf::new("Ragline/test");
        let name = "ragline_http_server_errors_total";
        for route in ["/chat", "/a\"b", "/chat"] {
            emf.register_counter(&key(name, Some(("route", route))), &METADATA).increment(1);
        }
        hit(&emf).increment(1);
        let documents = documents(&emf);
        let of = |document: &Value, member: &str| document[member].clone();
        let seen: Vec<_> = documents.iter().map(|one| (of(one, "route"), of(one, "HttpServerErrors"))).collect();
        assert_eq!(seen, [(Value::Null, Value::Null), (json!("/a\"b"), json!(1)), (json!("/chat"), json!(2))]);
        assert_eq!(documents[1]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["route"]]));
    }

    #[test]
    fn more_than_a_hundred_numbers_take_several_documents() {
        let emf = Emf::new("Ragline/test");
        let times = emf.register_histogram(&key("ragline_redis_command_seconds", None), &METADATA);
        (0..250).for_each(|_| times.record(0.5));
        let documents = documents(&emf);
        let lengths: Vec<_> =
            documents.iter().map(|one| one["RedisCommandSeconds"].as_array().unwrap().len()).collect();
        assert_eq!(lengths, [100, 100, 50]);
    }

    #[test]
    fn names_for_cloudwatch_are_told_apart() {
        let names: std::collections::BTreeSet<_> = cloudwatch().into_iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), cloudwatch().len());
        for name in ["ChatTokensInput", "DoorDeniedUser", "HttpServerErrors", "RedisCommandSeconds"] {
            assert!(names.contains(name), "{names:?}");
        }
        let gauges = ALL.iter().filter(|metric| metric.about().kind == Kind::Gauge);
        assert!(gauges.into_iter().all(|gauge| gauge.about().published.is_none()));
    }
}
