use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A receiver of webhooks on a free port. It ends with this value.
pub struct Receiver {
    port: u16,
    state: Arc<Mutex<State>>,
    _server: JoinSet<()>,
}

struct State {
    /// What it answers, and where it sends.
    status: StatusCode,
    location: Option<String>,
    heard: Vec<Heard>,
}

/// A message that it was sent.
#[derive(Debug, Clone)]
pub struct Heard {
    /// What it answered.
    pub status: u16,
    /// The headers of the message.
    pub headers: HeaderMap,
    /// Its body, byte for byte.
    pub bytes: Bytes,
}

impl Receiver {
    /// One that takes everything.
    pub async fn start() -> Self {
        let state = State { status: StatusCode::NO_CONTENT, location: None, heard: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let router = Router::new().fallback(async move |headers: HeaderMap, bytes: Bytes| {
            let mut state = shared.lock().unwrap();
            let status = state.status;
            state.heard.push(Heard { status: status.as_u16(), headers, bytes });
            let location = state.location.clone().map(|to| [("location", to)]);
            (status, location.map(IntoResponse::into_response).unwrap_or_default()).into_response()
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut server = JoinSet::new();
        server.spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { port, state, _server: server }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks?of=ragline", self.port)
    }

    /// Its port on this machine.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on it answers this.
    pub fn answers(&self, status: u16) {
        self.state.lock().unwrap().status = status.try_into().unwrap();
    }

    /// From now on it sends elsewhere.
    pub fn sends_to(&self, status: u16, location: &str) {
        self.answers(status);
        self.state.lock().unwrap().location = Some(location.to_owned());
    }

    /// What it was sent.
    pub fn heard(&self) -> Vec<Heard> {
        self.state.lock().unwrap().heard.clone()
    }

    /// What it took.
    pub fn took(&self) -> Vec<Heard> {
        self.heard().into_iter().filter(|heard| (200..300).contains(&heard.status)).collect()
    }
}

impl Heard {
    /// The text of a header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name} is missing: {:?}", self.headers)).to_str().unwrap()
    }

    /// The body.
    pub fn body(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    /// How many of its signatures are of this secret, by the specification of Standard Webhooks: the signature is the
    /// base64 of the HMAC-SHA256 of `<id>.<timestamp>.<body>`, under the bytes whose base64 follows `whsec_`; several stand
    /// one after another, with a space between them, and each begins with the version of its scheme.
    pub fn signatures_of(&self, secret: &str) -> usize {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let head = format!("{}.{}.", self.header("webhook-id"), self.header("webhook-timestamp"));
        let signed = [head.as_bytes(), &self.bytes].concat();
        let signatures = self.header("webhook-signature").split(' ').map(|signature| {
            let signature = signature.strip_prefix("v1,").expect("the version comes first");
            STANDARD.decode(signature).unwrap()
        });
        signatures.filter(|signature| hmac::verify(&key, &signed, signature).is_ok()).count()
    }
}
