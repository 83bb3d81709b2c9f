//! What chat adds to its model: `make bench`.
//!
//! The model is a scripted one in a process of its own, and so is the server that asks it. What it takes to the first word of
//! an answer is measured in both ways: from the server, and from the model itself with the same number of turns. The ways take
//! turns, so that a noisy moment hits both. Then answers are held open that never end, and the memory of the server is looked
//! at.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot be taken ends")]

use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::{StreamExt, stream};
use reqwest::Url;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::llm::LlmProcess;
use tests::{Instance, TestApp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// What is measured, by how many answers run at a time.
const RUNS: [Run; 2] = [
    // Short ones: nothing is said of what comes after the first word.
    Run { at_once: 1, answers: 60, pace: "ttft300-itl15-len10", goal_ms: 15.0 },
    // A usual model: 100 of its answers at a time are 39 new ones a second.
    Run { at_once: 100, answers: 400, pace: "ttft300-itl15-len150", goal_ms: 50.0 },
];
/// Parts that the answers of a way are made in, in turn with the other way.
const ROUNDS: usize = 2;
/// Answers that are held open.
const OPEN: usize = 500;
/// Of these, so many are begun at a time.
const BEGUN: usize = 10;
/// What each may take.
const GOAL_KB: f64 = 100.0;
/// What comes after the first word is read so often: the processor is to be used by what is measured, not by who reads it.
const READ_EVERY: Duration = Duration::from_millis(100);

/// Answers that are measured.
#[derive(Clone, Copy)]
struct Run {
    at_once: usize,
    /// Of each way.
    answers: usize,
    /// The name of the model, which says how fast it talks.
    pace: &'static str,
    /// What may be added to the p95.
    goal_ms: f64,
}

#[tokio::main]
async fn main() {
    let model = LlmProcess::start(env!("CARGO_BIN_EXE_scripted-llm")).await;
    let app = TestApp::start().await;
    app.ada().ready("ducks.md", "# Ducks\n\nDucks swim on lakes and fly south in winter.\n").await;
    let variables = [
        ("REDIS_URL", app.redis_url()),
        ("DYNAMODB_ENDPOINT", app.dynamodb_endpoint()),
        ("LLM", "openai"),
        ("LLM_MODEL", ""),
        ("LLM_BASE_URL", model.url()),
        ("LIMIT_USER_STREAMS", "1000"),
        ("LIMIT_TENANT_STREAMS", "1000"),
        ("LIMIT_DAILY_TOKENS", "1000000000"),
        ("CHAT_SECONDS", "900"),
        ("LLM_IDLE_TIMEOUT_MS", "900000"),
        // What takes long is to be seen, not to be done without.
        ("REDIS_TIMEOUT_MS", "10000"),
    ];
    let token = app.token("acme", "ada", Role::Editor);

    println!("time to the first word, in milliseconds; the model alone says it after 300 in each turn\n");
    println!("{:<34} {:>7} {:>7} {:>7} {:>7}", "", "median", "added", "p95", "added");
    for (calls, words) in [(0, "without a search"), (1, "with a search that was made before")] {
        for Run { at_once, answers, pace, goal_ms } in RUNS {
            let model_name = format!("{pace}-tools-{calls}");
            let variables = with_model(&variables, &model_name);
            let server = Instance::start(env!("CARGO_BIN_EXE_instance"), app.folder(), &variables).await;
            let through = Way::Through { url: format!("{}/chat", server.url()), token: token.clone() };
            let direct =
                Way::Direct { url: format!("{}/chat/completions", model.url()), model: model_name.clone(), calls };
            through.first_word().await;
            let mut times = [Vec::new(), Vec::new()];
            for _ in 0..ROUNDS {
                for (way, times) in [&direct, &through].into_iter().zip(&mut times) {
                    times.extend(way.first_words(at_once, answers / ROUNDS).await);
                }
            }
            let [direct, through] = times.map(Times::of);
            let added = [through.median - direct.median, through.p95 - direct.p95];
            println!("{at_once} at a time, {words}");
            println!("{:<34} {:>7.1} {:>7} {:>7.1}", "  the model", direct.median, "", direct.p95);
            println!(
                "{:<34} {:>7.1} {:>7.1} {:>7.1} {:>7.1}  (goal: at most {goal_ms} ms added to the p95)",
                "  Ragline", through.median, added[0], through.p95, added[1]
            );
        }
    }
    let hanging = with_model(&variables, "hangs-after-20");
    memory(&app, &hanging, &token).await;
    app.stop().await;
}

/// The variables with another model.
fn with_model<'a>(variables: &[(&'a str, &'a str)], model: &'a str) -> Vec<(&'a str, &'a str)> {
    variables.iter().map(|(name, value)| if *name == "LLM_MODEL" { (*name, model) } else { (*name, *value) }).collect()
}

/// The resident memory that each open answer takes.
async fn memory(app: &TestApp, variables: &[(&str, &str)], token: &str) {
    let server = Instance::start(env!("CARGO_BIN_EXE_instance"), app.folder(), variables).await;
    let way = Way::Through { url: format!("{}/chat", server.url()), token: token.to_owned() };
    let open = |answers| stream::iter(0..answers).map(|_| way.begin()).buffer_unordered(BEGUN).collect::<Vec<_>>();
    // What the process takes once, it takes now.
    let _warm = open(20).await;
    let Some(before) = resident_kb(server.pid()) else { return println!("\nno /proc here, so no memory is measured") };
    let held = open(OPEN).await;
    let after = resident_kb(server.pid()).unwrap();
    let each = (after - before) / held.len() as f64;
    println!("\n{OPEN} open answers: {before:.0} kB resident before, {after:.0} kB with them");
    println!("each takes {each:.1} kB (goal: at most {GOAL_KB})");
}

fn resident_kb(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// How an answer is asked for.
enum Way {
    /// From the model, which calls the tool so often before it answers.
    Direct { url: String, model: String, calls: usize },
    /// From Ragline.
    Through { url: String, token: String },
}

impl Way {
    /// The times of so many answers, in milliseconds, of which so many are made at a time.
    async fn first_words(&self, at_once: usize, answers: usize) -> Vec<f64> {
        let one_after_another = |number: usize| async move {
            // They do not begin all at once.
            sleep(Duration::from_millis(2_500) * u32::try_from(number).unwrap() / u32::try_from(at_once).unwrap())
                .await;
            let mut times = Vec::new();
            for _ in 0..answers / at_once {
                times.push(self.first_word().await);
            }
            times
        };
        join_all((0..at_once).map(one_after_another)).await.concat()
    }

    /// The time of one answer, which is read to its end.
    async fn first_word(&self) -> f64 {
        let started = Instant::now();
        let answer = self.begin().await;
        let time = started.elapsed().as_secs_f64() * 1e3;
        answer.end().await;
        time
    }

    /// An answer whose first word has come.
    async fn begin(&self) -> Answer {
        match self {
            Self::Through { url, token } => {
                let mut answer = Answer::to(url, token, &json!({ "message": "Do ducks swim?" })).await;
                answer.read_until("event: delta").await;
                answer
            }
            Self::Direct { url, model, calls } => {
                let mut messages = vec![json!({ "role": "user", "content": "Do ducks swim?" })];
                let asking = async |messages: &[Value]| {
                    let tool = json!({ "type": "function", "function": { "name": "search", "parameters": {} } });
                    let body = json!({ "model": model, "stream": true, "messages": messages, "tools": [tool] });
                    Answer::to(url, "", &body).await
                };
                for number in 0..*calls {
                    asking(&messages).await.read_until("[DONE]").await;
                    let function = json!({ "name": "search", "arguments": "{}" });
                    let call = json!({ "id": number.to_string(), "type": "function", "function": function });
                    messages.push(json!({ "role": "assistant", "tool_calls": [call] }));
                    let found = "x".repeat(1_000);
                    messages.push(json!({ "role": "tool", "tool_call_id": number.to_string(), "content": found }));
                }
                let mut answer = asking(&messages).await;
                answer.read_until("\"content\":\"The\"").await;
                answer
            }
        }
    }
}

/// An answer over a connection of its own, read by as little as can read it.
struct Answer {
    connection: TcpStream,
    read: Vec<u8>,
}

impl Answer {
    async fn to(url: &str, token: &str, body: &Value) -> Self {
        let (url, body): (Url, _) = (url.parse().unwrap(), body.to_string());
        let address = url.socket_addrs(|| None).unwrap()[0];
        let mut connection = TcpStream::connect(address).await.unwrap();
        let (path, length) = (url.path(), body.len());
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        Self { connection, read: Vec::new() }
    }

    async fn read_until(&mut self, words: &str) {
        while !self.read.windows(words.len()).any(|window| window == words.as_bytes()) {
            let read = self.connection.read_buf(&mut self.read).await.unwrap();
            assert!(read > 0, "no {words}: {}", String::from_utf8_lossy(&self.read));
        }
        assert!(self.read.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.read));
    }

    async fn end(mut self) {
        while self.connection.read_buf(&mut self.read).await.unwrap() > 0 {
            self.read.clear();
            sleep(READ_EVERY).await;
        }
    }
}

struct Times {
    median: f64,
    p95: f64,
}

impl Times {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_unstable_by(f64::total_cmp);
        Self { median: times[times.len() / 2], p95: times[times.len() * 95 / 100] }
    }
}
