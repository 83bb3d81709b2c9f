//! Failures in Sentry: each line at the level `ERROR` is one event, and the event says no more than the line, with the tenant by
//! a hash.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use sentry::protocol::{Event, Exception, Level};
use sentry::{Client, ClientOptions, Envelope, Transport};
use sha2::{Digest, Sha256};
use tracing::Metadata;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::{Layer, Registry};

use crate::clients::{ClientError, Collector};
use crate::config::SentryConfig;
use crate::telemetry::delivery::Delivery;
use crate::telemetry::outbox::Outbox;
use crate::telemetry::{BoxedLayer, logs};

/// Events that wait, at most. In a flood of failures the first say what the others would.
const MOST: usize = 100;
/// For Sentry to take an event.
const LIMIT: Duration = Duration::from_secs(2);
const AUTH: HeaderName = HeaderName::from_static("x-sentry-auth");
const AGENT: &str = concat!("ragline/", env!("CARGO_PKG_VERSION"));

/// The layer that makes events of lines, and what brings them to Sentry.
pub(super) fn start(config: &SentryConfig) -> Result<(BoxedLayer, Delivery), ClientError> {
    let outbox = Arc::new(Outbox::new(MOST));
    let mut options = ClientOptions::new()
        .default_integrations(false)
        .environment(config.environment.clone())
        .release(config.release.clone())
        .transport(Arc::new(Gather(Arc::clone(&outbox))));
    options.dsn = Some(config.dsn.clone());
    let layer = Report(Client::from(options)).with_filter(Failures);

    let auth = config.dsn.to_auth(Some(AGENT)).to_string();
    let mut auth = HeaderValue::from_str(&auth).map_err(|error| ClientError::Build(format!("SENTRY_DSN: {error}")))?;
    auth.set_sensitive(true);
    let kind = HeaderValue::from_static("application/x-sentry-envelope");
    let headers = HeaderMap::from_iter([(AUTH, auth), (CONTENT_TYPE, kind)]);
    let collector = Collector::new(config.dsn.envelope_api_url(), headers, LIMIT);
    Ok((layer.boxed(), Delivery::new("failures", collector, outbox, messages)))
}

fn messages(envelopes: Vec<Envelope>) -> Vec<Bytes> {
    let written = envelopes.into_iter().filter_map(|envelope| {
        let mut bytes = Vec::new();
        envelope.to_writer(&mut bytes).ok()?;
        Some(bytes.into())
    });
    written.collect()
}

/// Gathers what the client of Sentry would send.
struct Gather(Arc<Outbox<Envelope>>);

impl Transport for Gather {
    fn send_envelope(&self, envelope: Envelope) {
        self.0.put(envelope);
    }
}

/// Of lines, our failures; of spans, those whose fields say what a failure is about.
struct Failures;

impl Failures {
    fn are(metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() {
            logs::is_about(metadata)
        } else {
            *metadata.level() == tracing::Level::ERROR && logs::is_ours(metadata)
        }
    }
}

impl Filter<Registry> for Failures {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, Registry>) -> bool {
        Self::are(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Self::are(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }
}

/// Makes events of failures.
struct Report(Client);

/// The fields of a span or a line.
#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Layer<Registry> for Report {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, Registry>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, Registry>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, Registry>) {
        let mut line = Fields::default();
        event.record(&mut line);
        let mut about = BTreeMap::new();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(Fields(fields)) = span.extensions().get() {
                about.extend(fields.iter().map(|(name, value)| (*name, value.clone())));
            }
        }
        about.append(&mut line.0);
        self.0.capture_event(failure(about), None);
    }
}

/// An event about what the fields say. Sentry groups it by what went wrong where; it leaves numbers and ids in it aside.
fn failure(mut fields: BTreeMap<&'static str, String>) -> Event<'static> {
    let message = fields.remove("message").unwrap_or_default();
    let error = fields.remove("error").unwrap_or_default();
    let (kind, detail) = error.split_once(": ").unwrap_or(("failure", &error));
    let exception = Exception {
        ty: if error.is_empty() { message.clone() } else { kind.to_owned() },
        value: Some(if detail.is_empty() { message.clone() } else { detail.to_owned() }),
        ..Exception::default()
    };
    let transaction = match (fields.get("method"), fields.get("route"), fields.get("job")) {
        (Some(method), Some(route), _) => Some(format!("{method} {route}")),
        (.., job) => job.cloned(),
    };
    if let Some(tenant) = fields.get_mut("tenant") {
        *tenant = hex::encode(&Sha256::digest(tenant.as_bytes())[..16]);
    }
    Event {
        level: Level::Error,
        message: Some(message),
        exception: vec![exception].into(),
        transaction,
        tags: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ..Event::default()
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        // A name with a dot is for traces.
        if !field.name().contains('.') {
            self.0.insert(field.name(), value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
