//! A language model that says what it is told to, behind real HTTP, as its providers serve theirs: OpenAI's chat completions
//! (`POST /v1/chat/completions`, streamed and not, `GET /v1/models`) and Amazon Bedrock's `ConverseStream`.
//!
//! What it says is, in this order: the next of the turns it was given ([`ScriptedLlm::then`]); what a function makes of the
//! request ([`ScriptedLlm::answer`]); what the name of the model says. A name is made of these words, with `-` between them:
//!
//! | words | what happens |
//! | --- | --- |
//! | `scripted` | nothing; a name with this word alone says a short sentence at once |
//! | `ttft300` | the first piece comes after 300 ms |
//! | `itl15` | each further piece comes after 15 ms |
//! | `len150` | 150 pieces, a token each (13); fewer if the request allows no more, with `length` as the reason to end |
//! | `tools-2` | the first two turns after a question call `search` for the question, if the request offers it; the turn after them ends with ` [1]` |
//! | `bad-arguments` | the first turn calls `search` with arguments that its schema does not allow |
//! | `empty` | an answer without a word |
//! | `hangs` | nothing at all, not even a status |
//! | `hangs-after-10` | silence after ten pieces |
//! | `breaks-after-40` | the connection is cut after 40 pieces |
//! | `ends-after-40` | the answer is over after 40 pieces, without the words that end one |
//! | `error-after-5` | the fifth piece is followed by an error in the stream |
//! | `bad-json`, `bad-json-after-5` | a chunk that is cut short, in place of the first piece or after the fifth |
//! | `status-429` | this status, for 429 and 503 with `Retry-After: 2` |
//! | `retry-7` | the seconds in `Retry-After` |
//!
//! So `ttft300-itl15-len150` is a usual model, and `ttft300-itl15-tools-1-breaks-after-40` one that is cut off where it
//! answers: faults come with the turn that answers, not with those that call tools. Any other name is an unknown model: 404.
//!
//! A request that OpenAI's server would not take, such as one with a call that has no outcome, is answered 400.

mod bedrock;
mod clock;
mod connections;
mod name;
mod openai;
mod process;
mod request;
mod turn;

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use connections::{Counted, Open};
pub use process::LlmProcess;
pub use request::Request;
pub use turn::Turn;

/// The latest requests that are remembered.
const REMEMBERED: usize = 1_000;

/// A server of a scripted language model on a free port. It takes no more connections once this value is gone.
pub struct ScriptedLlm {
    port: u16,
    shared: Arc<Shared>,
    server: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    script: Mutex<Script>,
    asked: AtomicUsize,
    connections: AtomicUsize,
    open: AtomicUsize,
    left: AtomicUsize,
}

#[derive(Default)]
struct Script {
    requests: VecDeque<Request>,
    turns: VecDeque<Turn>,
    answer: Option<Answer>,
}

type Answer = Box<dyn Fn(&Request) -> Turn + Send>;

impl ScriptedLlm {
    /// One that goes by the names of models until it is told more.
    pub async fn start() -> Self {
        Self::start_on(0).await
    }

    /// The same on this port.
    pub async fn start_on(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("the port is free");
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::<Shared>::default();
        let router = Router::new()
            .route("/v1/chat/completions", post(openai::completions))
            .route("/v1/models", get(openai::models))
            .route("/model/{model}/converse-stream", post(bedrock::converse_stream))
            .with_state(Arc::clone(&shared));
        let listener = Counted::new(listener, Arc::clone(&shared));
        let mut server = JoinSet::new();
        server.spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { port, shared, server }
    }

    /// The address that `/chat/completions` is appended to.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// The variables with which an installation asks it for this model.
    pub fn variables(&self, model: &str) -> [(&'static str, String); 3] {
        [("LLM", "openai".to_owned()), ("LLM_BASE_URL", self.url()), ("LLM_MODEL", model.to_owned())]
    }

    /// The same variables for this model on Bedrock.
    pub fn bedrock_variables(&self, model: &str) -> [(&'static str, String); 3] {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        [("LLM", "bedrock".to_owned()), ("LLM_BASE_URL", endpoint), ("LLM_MODEL", model.to_owned())]
    }

    /// Answers a further request with this turn, after those it was given before.
    pub fn then(&self, turn: Turn) -> &Self {
        self.shared.script.lock().unwrap().turns.push_back(turn);
        self
    }

    /// Answers each request with what `answer` makes of it, once there is no turn left.
    pub fn answer(&self, answer: impl Fn(&Request) -> Turn + Send + 'static) -> &Self {
        self.shared.script.lock().unwrap().answer = Some(Box::new(answer));
        self
    }

    /// The turns that it was given and has not said.
    pub fn unsaid(&self) -> usize {
        self.shared.script.lock().unwrap().turns.len()
    }

    /// The latest thousand requests, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.script.lock().unwrap().requests.iter().cloned().collect()
    }

    /// How many requests there were.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// The connections that stand; a client keeps some for later requests.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The requests whose answer is not over.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// The requests whose client went before the answer was over.
    pub fn left(&self) -> usize {
        self.shared.left.load(Ordering::SeqCst)
    }

    /// Waits until no answer is open, and returns whether that came in time.
    pub async fn quiet_within(&self, limit: Duration) -> bool {
        self.within(limit, |shared| shared.open.load(Ordering::SeqCst) == 0).await
    }

    /// Waits until there were so many requests, and returns whether they came in time.
    pub async fn asked_within(&self, requests: usize, limit: Duration) -> bool {
        self.within(limit, |shared| shared.asked.load(Ordering::SeqCst) >= requests).await
    }

    async fn within(&self, limit: Duration, holds: impl Fn(&Shared) -> bool) -> bool {
        let started = Instant::now();
        while !holds(&self.shared) {
            if started.elapsed() > limit {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        true
    }

    /// Serves until the process ends.
    pub async fn serve(mut self) {
        self.server.join_next().await;
    }
}

impl Shared {
    /// What is said to a request, which is remembered.
    fn take(self: &Arc<Self>, request: Request) -> (Turn, usize, Open) {
        let open = Open::new(Arc::clone(self));
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut script = self.script.lock().unwrap();
        let fault = request.fault().map(|text| Turn::refused(400, "invalid_request_error", &text));
        let turn = fault
            .or_else(|| script.turns.pop_front())
            .or_else(|| script.answer.as_ref().map(|answer| answer(&request)))
            .unwrap_or_else(|| name::turn(&request));
        if script.requests.len() == REMEMBERED {
            script.requests.pop_front();
        }
        script.requests.push_back(request);
        (turn, number, open)
    }
}
