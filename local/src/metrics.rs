//! `GET /metrics`, for Prometheus: what this process has counted and measured since it started.

use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use shared::clients::{FolderQueue, Place};
use shared::metrics;
use tokio::task::JoinHandle;

/// Where they are.
pub(crate) const PATH: &str = "/metrics";
/// Version 0.0.4 of Prometheus's text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How often what was measured is put into its buckets, whether or not anybody asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// Of the process, however many installations it has.
static EXPORTER: OnceLock<PrometheusHandle> = OnceLock::new();

/// The queues of an installation, by what measurements call them.
pub(crate) type Queues = Vec<(&'static str, FolderQueue)>;

/// Has this process measure itself.
pub(crate) fn start() -> Result<PrometheusHandle, BuildError> {
    if let Some(exporter) = EXPORTER.get() {
        return Ok(exporter.clone());
    }
    let mut builder = PrometheusBuilder::new();
    for about in metrics::ALL.iter().map(|metric| metric.about()).filter(|about| !about.buckets().is_empty()) {
        builder = builder.set_buckets_for_metric(Matcher::Full(about.name.to_owned()), about.buckets())?;
    }
    let recorder = builder.build_recorder();
    let exporter = recorder.handle();
    // Two may come here at once; one of them installs its own, and both use that.
    if metrics::install(recorder).is_ok() {
        let _first = EXPORTER.set(exporter.clone());
    }
    Ok(EXPORTER.get().cloned().unwrap_or(exporter))
}

/// The route.
pub(crate) fn router(exporter: PrometheusHandle, queues: Queues) -> Router {
    Router::new().route(PATH, get(render)).with_state((exporter, queues))
}

/// Keeps what was measured from piling up.
pub(crate) fn keep_up(exporter: PrometheusHandle) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut pause = tokio::time::interval(UPKEEP);
        loop {
            pause.tick().await;
            exporter.run_upkeep();
        }
    })
}

async fn render(State((exporter, queues)): State<(PrometheusHandle, Queues)>) -> impl axum::response::IntoResponse {
    for (name, queue) in queues {
        let (Ok(messages), Ok(dead)) = (queue.list(), queue.dead()) else { continue };
        metrics::QUEUE_WAITING.set_of(name, messages.iter().filter(|place| Place::is_visible(place)).count() as f64);
        metrics::QUEUE_DEAD.set_of(name, dead.len() as f64);
    }
    ([(CONTENT_TYPE, TEXT)], exporter.render())
}
