//! The Runtime API of one environment, which gives out events and takes the answers
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http_body_util::{BodyExt, BodyStream, Limited};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::answer::{Answer, Streamed, Torn};
use crate::invoke_error::{Failure, InvokeError};
use crate::names;

/// The largest answer that is not streamed, in bytes.
const MAX_BUFFERED: usize = 6 * 1024 * 1024;
/// What stands between the head of a streamed answer and its body.
const END_OF_HEAD: [u8; 8] = [0; 8];
/// The largest head of a streamed answer, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Pieces of a streamed answer that wait for who reads them.
const PIECES: usize = 64;
const FUNCTION_ERROR: &str = "lambda-runtime-function-error-type";

/// The Runtime API of one environment. It ends with this value.
pub(crate) struct RuntimeApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Event>,
    _server: JoinSet<()>,
}

/// What is known of an event's end.
pub(crate) type Outcome = Result<Answer, InvokeError>;

struct Event {
    id: String,
    payload: Bytes,
    deadline: OffsetDateTime,
    answer: oneshot::Sender<Outcome>,
}

struct Shared {
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    /// How often the function asked for an event, and when it last did.
    asked: watch::Sender<(u64, Instant)>,
    /// The event that the function works on.
    running: Mutex<Option<(String, oneshot::Sender<Outcome>)>>,
}

impl RuntimeApi {
    pub(crate) async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (events, waiting) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            events: tokio::sync::Mutex::new(waiting),
            asked: watch::Sender::new((0, Instant::now())),
            running: Mutex::default(),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            // The function ends itself then.
            .route("/2018-06-01/runtime/init/error", post(async || StatusCode::ACCEPTED))
            .with_state(Arc::clone(&shared));
        let listener = listener.tap_io(|socket| {
            let _ = socket.set_nodelay(true);
        });
        let mut server = JoinSet::new();
        server.spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, events, _server: server })
    }

    /// The value of `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Gives out an event, which the function may work on for so long.
    pub(crate) fn give(&self, event: &Value, limit: Duration) -> oneshot::Receiver<Outcome> {
        let (answer, answered) = oneshot::channel();
        let (id, payload) = (names::request_id(), event.to_string().into());
        // What waits in the queue ends with the environment.
        let _ = self.events.send(Event { id, payload, deadline: OffsetDateTime::now_utc() + limit, answer });
        answered
    }

    /// When the function asked for an event, once it has done so this many times.
    pub(crate) async fn asked(&self, times: u64) -> Instant {
        let mut asked = self.shared.asked.subscribe();
        let asked = asked.wait_for(|(so_far, _)| *so_far >= times).await.map(|asked| asked.1);
        asked.expect("this value keeps who could say so")
    }
}

async fn next(State(api): State<Arc<Shared>>) -> Response {
    api.asked.send_modify(|asked| *asked = (asked.0 + 1, Instant::now()));
    let Some(event) = api.events.lock().await.recv().await else { return StatusCode::GONE.into_response() };
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", event.id.clone()),
        ("lambda-runtime-deadline-ms", (event.deadline.unix_timestamp_nanos() / 1_000_000).to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:local".to_owned()),
        ("lambda-runtime-trace-id", names::trace_id()),
    ];
    *api.running() = Some((event.id, event.answer));
    (headers, event.payload).into_response()
}

async fn response(
    State(api): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, StatusCode> {
    let answer = api.take(&id)?;
    if headers.get("lambda-runtime-function-response-mode").is_some_and(|mode| mode == "streaming") {
        stream(body, answer).await;
        return Ok(StatusCode::ACCEPTED);
    }
    if let Ok(body) = Limited::new(body, MAX_BUFFERED).collect().await {
        let _ = answer.send(Ok(Answer::Buffered(body.to_bytes())));
        Ok(StatusCode::ACCEPTED)
    } else {
        let _ = answer.send(Err(InvokeError::Malformed("it is too large, or torn".to_owned())));
        Err(StatusCode::PAYLOAD_TOO_LARGE)
    }
}

async fn error(State(api): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> Result<StatusCode, StatusCode> {
    let answer = api.take(&id)?;
    let failure = serde_json::from_slice::<Failure>(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let _ = answer.send(Err(InvokeError::Failed(failure)));
    Ok(StatusCode::ACCEPTED)
}

/// Hands on a streamed answer. A reader who goes away does not stop the function, which is heard out.
async fn stream(body: Body, answer: oneshot::Sender<Outcome>) {
    let mut frames = BodyStream::new(body);
    let mut read = BytesMut::new();
    let head = loop {
        if let Some(end) = memchr::memmem::find(&read, &END_OF_HEAD) {
            let head = serde_json::from_slice(&read.split_to(end)).map_err(|error| error.to_string());
            break head.inspect(|_| drop(read.split_to(END_OF_HEAD.len())));
        }
        match frames.next().await {
            Some(Ok(frame)) if read.len() < MAX_HEAD => read.extend_from_slice(&frame.into_data().unwrap_or_default()),
            _ => break Err("it has no head".to_owned()),
        }
    };
    let head = match head {
        Ok(head) => head,
        Err(fault) => {
            let _ = answer.send(Err(InvokeError::Malformed(fault)));
            return;
        }
    };
    let (pieces, body) = mpsc::channel(PIECES);
    let _ = answer.send(Ok(Answer::Streamed(Streamed { head, body })));
    if !read.is_empty() {
        let _ = pieces.send(Ok(read.freeze())).await;
    }
    while let Some(frame) = frames.next().await {
        let piece = match frame.map(http_body::Frame::into_data) {
            Ok(Ok(piece)) => Ok(piece),
            // A trailer says if the function failed on the way.
            Ok(Err(frame)) if frame.trailers_ref().is_none_or(|trailers| !trailers.contains_key(FUNCTION_ERROR)) => {
                continue;
            }
            Ok(Err(_)) | Err(_) => Err(Torn),
        };
        let _ = pieces.send(piece).await;
    }
}

impl Shared {
    fn running(&self) -> std::sync::MutexGuard<'_, Option<(String, oneshot::Sender<Outcome>)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whom the answer to this event is for; nobody, if the function works on another, or on none.
    fn take(&self, id: &str) -> Result<oneshot::Sender<Outcome>, StatusCode> {
        let running = self.running().take_if(|(running, _)| running == id);
        running.map(|(_, answer)| answer).ok_or(StatusCode::BAD_REQUEST)
    }
}
