use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A Cohere-compatible reranker that does as it is told, and remembers what it was asked. It serves as long as the test runs.
pub struct Reranks {
    url: String,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    behaviour: Reranking,
    asked: Vec<Value>,
    keys: Vec<String>,
}

/// How it answers.
#[derive(Debug, Clone)]
pub enum Reranking {
    /// The passages that hold this text are relevant by 0.9, all others by 0.1.
    Prefers(&'static str),
    /// The same after so long.
    Slowly(&'static str, Duration),
    /// With this status.
    Fails(u16),
    /// With this body.
    Says(Value),
}

impl Reranks {
    /// One that prefers passages that hold this text.
    pub async fn start(preferred: &'static str) -> Self {
        let shared = Shared { behaviour: Reranking::Prefers(preferred), asked: Vec::new(), keys: Vec::new() };
        let shared = Arc::new(Mutex::new(shared));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/v2/rerank", listener.local_addr().unwrap());
        let router = Router::new().route("/v2/rerank", post(rerank)).with_state(Arc::clone(&shared));
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// The variables with which an installation asks it.
    pub fn variables(&self) -> [(&str, &str); 3] {
        [("RERANKER", "cohere"), ("RERANK_URL", self.url.as_str()), ("RERANK_API_KEY", "rerank-secret")]
    }

    /// From now on it answers like this.
    pub fn answers(&self, behaviour: Reranking) {
        self.shared.lock().unwrap().behaviour = behaviour;
    }

    /// The requests that came.
    pub fn asked(&self) -> Vec<Value> {
        self.shared.lock().unwrap().asked.clone()
    }

    /// The credentials that came with them.
    pub fn keys(&self) -> Vec<String> {
        self.shared.lock().unwrap().keys.clone()
    }
}

async fn rerank(
    State(shared): State<Arc<Mutex<Shared>>>,
    headers: HeaderMap,
    Json(request): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    let behaviour = {
        let mut shared = shared.lock().unwrap();
        shared.keys.push(headers["authorization"].to_str().unwrap().to_owned());
        shared.asked.push(request.clone());
        shared.behaviour.clone()
    };
    match behaviour {
        Reranking::Prefers(text) => Ok(Json(preferring(text, &request))),
        Reranking::Slowly(text, pause) => {
            tokio::time::sleep(pause).await;
            Ok(Json(preferring(text, &request)))
        }
        Reranking::Fails(status) => Err(status.try_into().unwrap()),
        Reranking::Says(body) => Ok(Json(body)),
    }
}

/// The best first, as Cohere answers.
fn preferring(text: &str, request: &Value) -> Value {
    let documents = request["documents"].as_array().unwrap();
    let relevance = |document: &Value| if document.as_str().unwrap().contains(text) { 0.9 } else { 0.1 };
    let mut results: Vec<(usize, f64)> = documents.iter().map(relevance).enumerate().collect();
    results.sort_by(|a, b| b.1.total_cmp(&a.1));
    let result = |(index, score): (usize, f64)| json!({ "index": index, "relevance_score": score });
    json!({ "id": "r1", "results": results.into_iter().map(result).collect::<Vec<_>>(), "meta": {} })
}
