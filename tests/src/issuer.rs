use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::any;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::SigningKey;

/// Where somebody publishes keys. It counts who asks, whatever they ask for.
pub struct Issuer {
    url: String,
    published: Arc<Published>,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct Published {
    keys: Mutex<Value>,
    requests: AtomicUsize,
}

impl Issuer {
    /// Publishes these keys on a free port.
    pub async fn start(keys: &[&SigningKey]) -> Self {
        let published = Arc::new(Published::default());
        let router = Router::new().fallback(any(answer)).with_state(Arc::clone(&published));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async { axum::serve(listener, router).await.unwrap() });
        let issuer = Self { url, published, _server: server };
        issuer.publish(keys);
        issuer
    }

    /// Publishes these keys instead.
    pub fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        *self.published.keys.lock().unwrap() = json!({ "keys": keys });
    }

    /// Where the keys are.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How often it was asked.
    pub fn requests(&self) -> usize {
        self.published.requests.load(Ordering::SeqCst)
    }
}

async fn answer(State(published): State<Arc<Published>>) -> String {
    published.requests.fetch_add(1, Ordering::SeqCst);
    published.keys.lock().unwrap().to_string()
}
