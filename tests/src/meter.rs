use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Operations whose answers say what they cost.
const PRICED: [&str; 9] = [
    "BatchGetItem",
    "BatchWriteItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "SearchVectors",
    "TransactWriteItems",
    "UpdateItem",
];

/// A way to DynamoDB on which requests are counted, with the capacity that they take.
pub struct Meter {
    url: String,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

struct Shared {
    target: String,
    http: reqwest::Client,
    pause: Mutex<Duration>,
    requests: Mutex<Vec<Request>>,
}

/// A request that was answered.
#[derive(Debug, Clone)]
struct Request {
    operation: String,
    signer: String,
    asked: Value,
    began: Instant,
    ended: Instant,
    units: f64,
}

/// A request, and whose credentials signed it.
#[derive(Debug, Clone)]
pub struct Signed {
    /// What it is called.
    pub operation: String,
    /// The access key.
    pub signer: String,
    /// Its body.
    pub asked: Value,
}

/// What requests cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bill {
    /// The requests by operation.
    pub requests: BTreeMap<String, usize>,
    /// The capacity units that they took, by operation, of tables and indexes. The search of vectors is priced by bytes and has
    /// none.
    pub units: BTreeMap<String, f64>,
    /// How many requests had to wait for another.
    pub rounds: usize,
}

impl Bill {
    /// All requests.
    pub fn total_requests(&self) -> usize {
        self.requests.values().sum()
    }

    /// All units.
    pub fn total_units(&self) -> f64 {
        self.units.values().sum()
    }
}

impl Meter {
    /// A way to the database at this address.
    pub async fn start(target: &str) -> Self {
        let (http, target) = (reqwest::Client::new(), target.to_owned());
        let shared = Shared { target, http, pause: Mutex::default(), requests: Mutex::default() };
        let shared = Arc::new(shared);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(forward).with_state(Arc::clone(&shared));
        let mut server = JoinSet::new();
        server.spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, _server: server }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on each request takes so much longer.
    pub fn pause(&self, pause: Duration) {
        *self.shared.pause.lock().unwrap() = pause;
    }

    /// What was asked since the last time.
    pub fn bill(&self) -> Bill {
        let mut requests = std::mem::take(&mut *self.shared.requests.lock().unwrap());
        requests.sort_by_key(|request| request.began);
        let (mut bill, mut end) = (Bill::default(), None);
        for request in requests {
            if end.is_none_or(|end| request.began > end) {
                bill.rounds += 1;
                end = Some(request.ended);
            }
            end = end.max(Some(request.ended));
            *bill.requests.entry(request.operation.clone()).or_default() += 1;
            *bill.units.entry(request.operation).or_default() += request.units;
        }
        bill
    }

    /// Who signed what since the last time.
    pub fn signed(&self) -> Vec<Signed> {
        let requests = std::mem::take(&mut *self.shared.requests.lock().unwrap());
        let signed = |Request { operation, signer, asked, .. }| Signed { operation, signer, asked };
        requests.into_iter().map(signed).collect()
    }
}

async fn forward(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let target = headers["x-amz-target"].to_str().unwrap().to_owned();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let mut asked: Value = serde_json::from_slice(&body).unwrap();
    if PRICED.contains(&operation.as_str()) {
        asked["ReturnConsumedCapacity"] = json!("TOTAL");
    }
    let began = Instant::now();
    let pause = *shared.pause.lock().unwrap();
    tokio::time::sleep(pause).await;
    let mut request = shared.http.post(&shared.target).body(asked.to_string());
    for name in ["x-amz-target", "content-type", "authorization", "x-amz-date"] {
        request = request.header(name, headers[name].clone());
    }
    let answer = request.send().await.unwrap();
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
    let kind = answer.headers()["content-type"].clone();
    let answer = answer.bytes().await.unwrap();
    let units = serde_json::from_slice(&answer).map_or(0.0, |answer: Value| units(&answer["ConsumedCapacity"]));
    let signer = signer(headers["authorization"].to_str().unwrap());
    shared.requests.lock().unwrap().push(Request { operation, signer, asked, began, ended: Instant::now(), units });
    (status, [("content-type", kind)], answer)
}

/// The access key in a signature (AWS Signature Version 4).
fn signer(authorization: &str) -> String {
    let credential = authorization.split_once("Credential=").expect("the request is signed").1;
    credential.split('/').next().unwrap_or_default().to_owned()
}

fn units(consumed: &Value) -> f64 {
    match consumed {
        Value::Array(tables) => tables.iter().map(units).sum(),
        table => table["CapacityUnits"].as_f64().unwrap_or(0.0),
    }
}
