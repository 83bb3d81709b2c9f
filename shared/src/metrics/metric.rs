use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use metrics::{Key, KeyName, Label, Level, Metadata, Recorder, SharedString, with_recorder};

const METADATA: Metadata<'static> = Metadata::new("ragline", Level::INFO, None);

/// What is known of a metric.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its name, as Prometheus has it: in base units, which the name ends with, or `_total`.
    pub name: &'static str,
    /// What it says, in a sentence.
    pub help: &'static str,
    /// How it is counted.
    pub kind: Kind,
    /// In what.
    pub unit: Unit,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// All values of its label, if it has one whose values are known beforehand.
    pub values: &'static [&'static str],
    /// What of it goes to CloudWatch, where each series costs money: none, or the values of its label that do.
    pub published: Option<&'static [&'static str]>,
}

/// How something is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many were how large.
    Histogram,
}

/// What a number is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Of things that are counted.
    Count,
    /// Of seconds.
    Seconds,
    /// Of millionths of a US dollar.
    Microdollars,
}

impl About {
    /// Something that is counted.
    pub(super) const fn count(name: &'static str) -> Self {
        let (labels, values): (&[&str], &[&str]) = (&[], &[]);
        Self { name, help: "", kind: Kind::Counter, unit: Unit::Count, labels, values, published: None }
    }

    /// How large something is now.
    pub(super) const fn level(name: &'static str) -> Self {
        Self { kind: Kind::Gauge, ..Self::count(name) }
    }

    /// How many were how large.
    pub(super) const fn sizes(name: &'static str) -> Self {
        Self { kind: Kind::Histogram, ..Self::count(name) }
    }

    /// How long something took.
    pub(super) const fn times(name: &'static str) -> Self {
        Self { unit: Unit::Seconds, ..Self::sizes(name) }
    }

    pub(super) const fn of(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    /// With a label that has one of these values.
    pub(super) const fn by(self, label: &'static [&'static str; 1], values: &'static [&'static str]) -> Self {
        Self { labels: label, values, ..self }
    }

    /// With labels whose values come with use.
    pub(super) const fn by_any(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }

    /// All of it goes to CloudWatch.
    pub(super) const fn published(self) -> Self {
        Self { published: Some(self.values), ..self }
    }

    /// These values of its label go to CloudWatch.
    pub(super) const fn publishing(self, values: &'static [&'static str]) -> Self {
        Self { published: Some(values), ..self }
    }

    /// The upper bounds of its buckets, if it is a histogram.
    pub fn buckets(&self) -> &'static [f64] {
        match (self.kind, self.unit) {
            (Kind::Histogram, Unit::Seconds) => &SECONDS,
            (Kind::Histogram, _) => &SIZES,
            _ => &[],
        }
    }

    /// The keys that are known beforehand: one for each value of the label, or one without.
    fn keys(&self) -> Vec<Key> {
        match (self.labels, self.values) {
            ([], _) => vec![Key::from_static_name(self.name)],
            (_, []) => Vec::new(),
            ([label, ..], values) => {
                let labelled = |value| Key::from_parts(self.name, vec![Label::from_static_parts(label, value)]);
                values.iter().copied().map(labelled).collect()
            }
        }
    }
}

/// From half a millisecond, within which a cache answers, to half a minute, after which nothing does.
const SECONDS: [f64; 15] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// A metric of the list.
pub trait Metric: Sync {
    /// What is known of it.
    fn about(&self) -> &About;

    /// Describes it to the recorder of the process and takes its handles from it.
    fn start(&self);
}

/// A metric with the handles of its series, once there is a recorder.
pub struct Series<H: 'static> {
    about: About,
    handles: OnceLock<Vec<H>>,
}

/// Something that only grows.
pub type Counter = Series<metrics::Counter>;
/// Something that goes up and down.
pub type Gauge = Series<metrics::Gauge>;
/// How many were how large.
pub type Histogram = Series<metrics::Histogram>;

/// What a recorder gives for a key.
pub trait Handle: Sized + Send + Sync {
    /// The handle of a key.
    fn register(recorder: &dyn Recorder, key: &Key) -> Self;
}

impl<H> Series<H> {
    pub(super) const fn new(about: About) -> Self {
        Self { about, handles: OnceLock::new() }
    }

    /// Whether its label has this value.
    pub fn knows(&self, value: &str) -> bool {
        self.about.values.contains(&value)
    }

    /// The handle of a metric without a label.
    fn only(&self) -> Option<&H> {
        debug_assert!(self.about.labels.is_empty(), "{} has a label", self.about.name);
        self.handles.get()?.first()
    }

    /// The handle of a value of the label.
    fn handle(&self, value: &str) -> Option<&H> {
        let place = self.about.values.iter().position(|known| *known == value);
        debug_assert!(place.is_some(), "{} knows no {value}", self.about.name);
        self.handles.get()?.get(place?)
    }
}

impl<H: Handle> Metric for Series<H> {
    fn about(&self) -> &About {
        &self.about
    }

    fn start(&self) {
        with_recorder(|recorder| {
            describe(recorder, &self.about);
            self.handles.get_or_init(|| self.about.keys().iter().map(|key| H::register(recorder, key)).collect());
        });
    }
}

impl Counter {
    /// So many more.
    pub fn add(&self, more: u64) {
        if let Some(counter) = self.only() {
            counter.increment(more);
        }
    }

    /// So many more of a value of its label.
    pub fn add_of(&self, value: &str, more: u64) {
        if let Some(counter) = self.handle(value) {
            counter.increment(more);
        }
    }

    /// One more of a value that was not known beforehand. Looks the series up, so it is for what is rare.
    pub fn add_to(&self, value: &str) {
        let Some(label) = self.handles.get().and(self.about.labels.first()) else { return };
        let key = Key::from_parts(self.about.name, vec![Label::new(*label, value.to_owned())]);
        with_recorder(|recorder| metrics::Counter::register(recorder, &key).increment(1));
    }
}

impl Gauge {
    /// It is so much now.
    pub fn set(&self, value: f64) {
        if let Some(gauge) = self.only() {
            gauge.set(value);
        }
    }

    /// So much of a value of its label.
    pub fn set_of(&self, value: &str, level: f64) {
        if let Some(gauge) = self.handle(value) {
            gauge.set(level);
        }
    }

    /// One more until what is returned is dropped.
    pub fn begin(&'static self) -> InProgress {
        if let Some(gauge) = self.only() {
            gauge.increment(1.0);
        }
        InProgress(self)
    }
}

/// Something that is counted as long as it lasts.
#[must_use]
pub struct InProgress(&'static Gauge);

impl Drop for InProgress {
    fn drop(&mut self) {
        if let Some(gauge) = self.0.only() {
            gauge.decrement(1.0);
        }
    }
}

impl Histogram {
    /// One of this size.
    pub fn record(&self, size: f64) {
        if let Some(histogram) = self.only() {
            histogram.record(size);
        }
    }

    /// One that took so long.
    pub fn took(&self, time: Duration) {
        if let Some(histogram) = self.only() {
            histogram.record(time);
        }
    }

    /// One of a value of its label that took so long.
    pub fn took_of(&self, value: &str, time: Duration) {
        if let Some(histogram) = self.handle(value) {
            histogram.record(time);
        }
    }

    /// Takes the time of something.
    pub async fn time<T>(&self, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let outcome = work.await;
        self.took(started.elapsed());
        outcome
    }

    /// Takes the time of something with a value of the label.
    pub async fn time_of<T>(&self, value: &str, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let outcome = work.await;
        self.took_of(value, started.elapsed());
        outcome
    }
}

/// Tells a recorder what a metric is.
pub(super) fn describe(recorder: &dyn Recorder, about: &About) {
    let unit = Some(match about.unit {
        Unit::Seconds => metrics::Unit::Seconds,
        Unit::Count | Unit::Microdollars => metrics::Unit::Count,
    });
    let (name, help) = (KeyName::from_const_str(about.name), SharedString::const_str(about.help.trim_ascii_start()));
    match about.kind {
        Kind::Counter => recorder.describe_counter(name, unit, help),
        Kind::Gauge => recorder.describe_gauge(name, unit, help),
        Kind::Histogram => recorder.describe_histogram(name, unit, help),
    }
}

impl Handle for metrics::Counter {
    fn register(recorder: &dyn Recorder, key: &Key) -> Self {
        recorder.register_counter(key, &METADATA)
    }
}

impl Handle for metrics::Gauge {
    fn register(recorder: &dyn Recorder, key: &Key) -> Self {
        recorder.register_gauge(key, &METADATA)
    }
}

impl Handle for metrics::Histogram {
    fn register(recorder: &dyn Recorder, key: &Key) -> Self {
        recorder.register_histogram(key, &METADATA)
    }
}
