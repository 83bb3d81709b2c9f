use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use prost::Message;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The longest that something may take to be told.
const LIMIT: Duration = Duration::from_secs(20);

/// Takes what installations tell of themselves, as a collector of traces (OTLP over HTTP, protobuf) and as Sentry (envelopes).
/// It ends with this value.
pub struct Collector {
    port: u16,
    state: Arc<Mutex<Heard>>,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct Heard {
    spans: Vec<Span>,
    events: Vec<Value>,
    headers: Vec<HeaderMap>,
    /// Every body, byte for byte.
    bytes: Vec<u8>,
    requests: usize,
    status: Option<StatusCode>,
    delay: Duration,
}

/// A span that was exported.
#[derive(Debug, Clone)]
pub struct Span {
    /// In hexadecimal.
    pub trace_id: String,
    /// In hexadecimal.
    pub id: String,
    /// That of its parent; empty without one.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// What it is of the two ends of a call.
    pub kind: SpanKind,
    /// Whether it says that it failed.
    pub failed: bool,
    /// The service it comes from.
    pub service: String,
    /// Its attributes.
    pub attributes: HashMap<String, Value>,
    /// How long it took.
    pub took: Duration,
}

impl Collector {
    /// One on a free port, that takes everything.
    pub async fn start() -> Self {
        let state = Arc::<Mutex<Heard>>::default();
        let router = Router::new()
            .route("/v1/traces", post(traces))
            .route("/api/{project}/envelope/", post(envelope))
            .with_state(Arc::clone(&state));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut server = JoinSet::new();
        server.spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { port, state, _server: server }
    }

    /// The value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn otlp(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The value of `SENTRY_DSN`.
    pub fn dsn(&self) -> String {
        format!("http://publickey@127.0.0.1:{}/42", self.port)
    }

    /// From now on it answers this, after so long.
    pub fn answers(&self, status: u16, delay: Duration) {
        let mut state = self.state.lock().unwrap();
        (state.status, state.delay) = (Some(status.try_into().unwrap()), delay);
    }

    /// How often it was sent something.
    pub fn requests(&self) -> usize {
        self.state.lock().unwrap().requests
    }

    /// The spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.state.lock().unwrap().spans.clone()
    }

    /// The events of Sentry so far, as their JSON.
    pub fn events(&self) -> Vec<Value> {
        self.state.lock().unwrap().events.clone()
    }

    /// The headers of all that it was sent.
    pub fn headers(&self) -> Vec<HeaderMap> {
        self.state.lock().unwrap().headers.clone()
    }

    /// All bodies, one after another.
    pub fn bytes(&self) -> Vec<u8> {
        self.state.lock().unwrap().bytes.clone()
    }

    /// The spans, once they are as they must be.
    pub async fn spans_until(&self, what: &str, enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let started = Instant::now();
        loop {
            let spans = self.spans();
            if enough(&spans) {
                return spans;
            }
            let names: Vec<_> = spans.iter().map(|span| (&span.trace_id, &span.name)).collect();
            assert!(started.elapsed() < LIMIT, "{what}: {names:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The events of Sentry, once there are so many.
    pub async fn events_until(&self, number: usize) -> Vec<Value> {
        let started = Instant::now();
        while self.events().len() < number {
            assert!(started.elapsed() < LIMIT, "{:?}", self.events());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.events()
    }
}

impl Heard {
    fn note(&mut self, headers: HeaderMap, bytes: &Bytes) {
        self.requests += 1;
        self.headers.push(headers);
        self.bytes.extend_from_slice(bytes);
    }
}

async fn refusal(state: &Mutex<Heard>) -> Option<StatusCode> {
    let (status, delay) = {
        let state = state.lock().unwrap();
        (state.status, state.delay)
    };
    tokio::time::sleep(delay).await;
    status.filter(|status| !status.is_success())
}

async fn traces(State(state): State<Arc<Mutex<Heard>>>, headers: HeaderMap, bytes: Bytes) -> StatusCode {
    state.lock().unwrap().note(headers.clone(), &bytes);
    if let Some(refusal) = refusal(&state).await {
        return refusal;
    }
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(bytes).expect("a message of OTLP");
    for resource_spans in request.resource_spans {
        let of_service = attributes(resource_spans.resource.unwrap_or_default().attributes);
        let service = of_service["service.name"].as_str().unwrap().to_owned();
        for span in resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let (kind, took) = (span.kind(), span.end_time_unix_nano - span.start_time_unix_nano);
            state.lock().unwrap().spans.push(Span {
                trace_id: hex::encode(&span.trace_id),
                id: hex::encode(&span.span_id),
                parent: hex::encode(&span.parent_span_id),
                kind,
                failed: span.status.as_ref().is_some_and(|status| status.code() == SpanStatus::Error),
                service: service.clone(),
                attributes: attributes(span.attributes),
                name: span.name,
                took: Duration::from_nanos(took),
            });
        }
    }
    StatusCode::OK
}

/// An envelope is lines of JSON: its header, then for each item a header and the item (Sentry's developer documentation,
/// "Envelopes").
async fn envelope(State(state): State<Arc<Mutex<Heard>>>, headers: HeaderMap, bytes: Bytes) -> StatusCode {
    state.lock().unwrap().note(headers.clone(), &bytes);
    if let Some(refusal) = refusal(&state).await {
        return refusal;
    }
    assert!(headers["x-sentry-auth"].to_str().unwrap().contains("sentry_key=publickey"), "{headers:?}");
    let lines: Vec<Value> = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert!(lines[0]["event_id"].is_string(), "{lines:?}");
    for item in lines[1..].chunks(2) {
        if item[0]["type"] == "event" {
            state.lock().unwrap().events.push(item[1].clone());
        }
    }
    StatusCode::OK
}

fn attributes(pairs: Vec<KeyValue>) -> HashMap<String, Value> {
    pairs.into_iter().map(|pair| (pair.key, pair.value.map_or(Value::Null, json))).collect()
}

fn json(value: AnyValue) -> Value {
    match value.value {
        Some(any_value::Value::StringValue(text)) => text.into(),
        Some(any_value::Value::BoolValue(bool)) => bool.into(),
        Some(any_value::Value::IntValue(number)) => number.into(),
        Some(any_value::Value::DoubleValue(number)) => number.into(),
        Some(any_value::Value::ArrayValue(array)) => array.values.into_iter().map(json).collect(),
        _ => Value::Null,
    }
}
