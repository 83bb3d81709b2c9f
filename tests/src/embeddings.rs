use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use shared::embed::{Embedder, HashingEmbedder};
use tokio::net::TcpListener;

/// An OpenAI-compatible server of vectors that can be slow, or fail, and remembers what it was asked. It serves as long as the
/// test runs.
pub struct Embeddings {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    embedder: HashingEmbedder,
    asked: Mutex<Vec<String>>,
    behaviour: Mutex<Behaviour>,
}

#[derive(Clone)]
struct Behaviour {
    pause: Duration,
    fails: bool,
    /// What it does not see the meaning of.
    overlooked: Option<String>,
}

impl Embeddings {
    /// One that is fast and well.
    pub async fn start(dimensions: usize) -> Self {
        let shared = Arc::new(Shared {
            embedder: HashingEmbedder::new(dimensions),
            asked: Mutex::default(),
            behaviour: Mutex::new(Behaviour { pause: Duration::ZERO, fails: false, overlooked: None }),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/embeddings", post(embed)).with_state(Arc::clone(&shared));
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// The address that `/embeddings` is appended to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The variables with which an installation asks it.
    pub fn variables(&self) -> [(&str, &str); 4] {
        let url = ("OPENAI_BASE_URL", self.url());
        [("EMBEDDER", "openai"), url, ("EMBEDDING_MODEL", "hashing"), ("EMBEDDING_TIMEOUT_MS", "600000")]
    }

    /// From now on each answer takes so long.
    pub fn pause(&self, pause: Duration) {
        self.shared.behaviour.lock().unwrap().pause = pause;
    }

    /// Whether each answer from now on is a failure.
    pub fn fail(&self, fails: bool) {
        self.shared.behaviour.lock().unwrap().fails = fails;
    }

    /// From now on all texts are alike to it, but for those with this word, which are like none.
    pub fn overlook(&self, word: &str) {
        self.shared.behaviour.lock().unwrap().overlooked = Some(word.to_owned());
    }

    /// The texts that it was asked for, each as often as that.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }
}

async fn embed(State(shared): State<Arc<Shared>>, Json(request): Json<Value>) -> Result<Json<Value>, StatusCode> {
    let texts: Vec<String> = serde_json::from_value(request["input"].clone()).unwrap();
    shared.asked.lock().unwrap().extend(texts.iter().cloned());
    let behaviour = shared.behaviour.lock().unwrap().clone();
    tokio::time::sleep(behaviour.pause).await;
    if behaviour.fails {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let mut vectors = shared.embedder.embed(&texts).await.unwrap();
    if let Some(word) = &behaviour.overlooked {
        for (text, vector) in texts.iter().zip(&mut vectors) {
            vector.fill(0.0);
            vector[usize::from(text.contains(word.as_str()))] = 1.0;
        }
    }
    let entry = |(index, embedding)| json!({ "object": "embedding", "index": index, "embedding": embedding });
    let data: Vec<_> = vectors.into_iter().enumerate().map(entry).collect();
    Ok(Json(json!({ "object": "list", "model": "hashing", "data": data })))
}
