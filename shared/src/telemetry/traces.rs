//! Traces: spans become those of OpenTelemetry, and go to a collector by OTLP over HTTP.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Context as OtelContext, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor};
use prost::Message;
use tracing::Metadata;
use tracing::subscriber::Interest;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::{Layer, Registry};

use crate::clients::Collector;
use crate::config::TracesConfig;
use crate::telemetry::delivery::Delivery;
use crate::telemetry::outbox::Outbox;
use crate::telemetry::{BoxedLayer, ROOT, STEP, Traceparent, genai};

/// Spans that wait for the collector, at most: some megabytes.
const MOST: usize = 4_096;
/// Spans in one message to it.
const BATCH: usize = 512;

/// Which traces are recorded; set where there is a collector.
static SAMPLING: OnceLock<Sampling> = OnceLock::new();

#[derive(Debug, Clone, Copy)]
struct Sampling {
    /// The share of those that begin here.
    ratio: f32,
    /// Whether callers decide on those that go on here.
    follows_caller: bool,
}

/// Whether there is a collector.
pub(super) fn are_recorded() -> bool {
    SAMPLING.get().is_some()
}

/// Whether the trace of a request is recorded, which its caller may have begun. By lot, and not by the trace's id: that may be one
/// that somebody chose.
pub(super) fn records_request(parent: Option<&Traceparent>) -> bool {
    SAMPLING.get().is_some_and(|sampling| match parent {
        Some(parent) if sampling.follows_caller => parent.is_sampled(),
        _ => fastrand::f32() < sampling.ratio,
    })
}

/// Whether the trace of work is recorded: as that of the request that it follows from.
pub(super) fn records_job(parent: Option<&Traceparent>) -> bool {
    SAMPLING.get().is_some_and(|sampling| match parent {
        Some(parent) => parent.is_sampled(),
        None => fastrand::f32() < sampling.ratio,
    })
}

/// The layer that records, and what brings the records to the collector.
pub(super) fn start(config: &TracesConfig) -> (BoxedLayer, Delivery) {
    genai::show_contents(config.contents);
    let outbox = Arc::new(Outbox::new(MOST));
    let attributes = config.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    let resource = Resource::builder_empty()
        .with_service_name(config.service.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(attributes)
        .build();
    let of_service = ResourceAttributesWithSchema::from(&resource);
    let _first = SAMPLING.set(Sampling { ratio: config.ratio, follows_caller: config.follows_caller });
    let provider = SdkTracerProvider::builder()
        // What is not recorded does not come here.
        .with_sampler(Sampler::AlwaysOn)
        .with_resource(resource)
        .with_span_processor(Gather(Arc::clone(&outbox)))
        .build();
    let scope = InstrumentationScope::builder("ragline").with_version(env!("CARGO_PKG_VERSION")).build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer_with_scope(scope))
        .with_context_activation(false)
        .with_tracked_inactivity(false)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_filter(Recorded);

    let mut headers = config.headers.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    let collector = Collector::new(config.url.clone(), headers, config.timeout);
    let delivery = Delivery::new("traces", collector, outbox, move |spans| messages(spans, &of_service));
    (layer.boxed(), delivery)
}

/// The spans in messages of OTLP (opentelemetry-proto, `ExportTraceServiceRequest`).
fn messages(mut spans: Vec<SpanData>, of_service: &ResourceAttributesWithSchema) -> Vec<Bytes> {
    let mut messages = Vec::with_capacity(spans.len().div_ceil(BATCH));
    while !spans.is_empty() {
        let rest = spans.split_off(spans.len().min(BATCH));
        let resource_spans = group_spans_by_resource_and_scope(std::mem::replace(&mut spans, rest), of_service);
        messages.push(ExportTraceServiceRequest { resource_spans }.encode_to_vec().into());
    }
    messages
}

/// Gathers what was recorded.
#[derive(Debug)]
struct Gather(Arc<Outbox<SpanData>>);

impl SpanProcessor for Gather {
    fn on_start(&self, _: &mut Span, _: &OtelContext) {}

    fn on_end(&self, span: SpanData) {
        self.0.put(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Of spans, the roots, and steps within one: others would be traces of their own.
struct Recorded;

impl Filter<Registry> for Recorded {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, Registry>) -> bool {
        let within = || {
            let mut scope = context.lookup_current().into_iter().flat_map(|span| span.scope());
            scope.any(|span| span.metadata().target() == ROOT)
        };
        metadata.is_span() && (metadata.target() == ROOT || (metadata.target() == STEP && within()))
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match metadata.target() {
            ROOT if metadata.is_span() => Interest::always(),
            STEP if metadata.is_span() => Interest::sometimes(),
            _ => Interest::never(),
        }
    }
}
