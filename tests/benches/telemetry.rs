//! What it costs to see what happens: `make bench`.
//!
//! A GET that is answered from the cache, the cheapest request there is, by processes that differ in what they tell of it. Each is
//! set up by the variables a function has. They take turns, so that a noisy moment hits all, and what is compared is the
//! processor time of the process: Redis is another one.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot be taken ends")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use shared::clients::Builder;
use shared::door::Scope;
use shared::http::on_lambda;
use shared::tenancy::Role;
use shared::{metrics, telemetry};
use tests::TestApp;
use tower::ServiceExt;

const BODY: usize = 1_000;
const WARM_UP: usize = 2;
const ROUNDS: usize = 21;
/// Requests of a round.
const REQUESTS: usize = 500;
/// Where a process hears when to begin, and says what it took.
const PARENT: &str = "BENCH_PARENT";
const TOKEN: &str = "BENCH_TOKEN";

/// A collector that nobody sends to.
const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");

/// What is told, and the variables that say so.
const WAYS: [(&str, &[(&str, &str)]); 6] = [
    ("nothing", &[("LOG_LEVEL", "off")]),
    ("log lines", &[("LOG_LEVEL", "info"), ("LOG_FORMAT", "json")]),
    ("metrics", &[("LOG_LEVEL", "off"), ("METRICS_NAMESPACE", "Ragline/bench")]),
    ("a trace of 20", &[("LOG_LEVEL", "off"), ENDPOINT, ("OTEL_TRACES_SAMPLER_ARG", "0.05")]),
    ("every trace", &[("LOG_LEVEL", "off"), ENDPOINT]),
    (
        "all, a trace of 20",
        &[
            ("LOG_LEVEL", "info"),
            ("LOG_FORMAT", "json"),
            ("METRICS_NAMESPACE", "Ragline/bench"),
            ENDPOINT,
            ("OTEL_TRACES_SAMPLER_ARG", "0.05"),
        ],
    ),
];

fn main() {
    match std::env::var(PARENT) {
        Ok(parent) => runtime().block_on(answer(&parent)),
        Err(_) => runtime().block_on(compare()),
    }
}

/// As functions have it.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn compare() {
    let limit = [("DOOR_TRUST_MS", "600000"), ("REDIS_TIMEOUT_MS", "5000")];
    let app = TestApp::start_with(&limit).await;
    let token = app.token("acme", "ada", Role::Editor);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut processes: Vec<(Child, TcpStream)> = Vec::new();
    for (_, variables) in WAYS {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let process = command
            .envs(app.running().variables().sorted())
            .envs(variables.iter().copied())
            .env(PARENT, &address)
            .env(TOKEN, &token)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let accepted = tokio::task::spawn_blocking({
            let listener = listener.try_clone().unwrap();
            move || listener.accept().unwrap().0
        });
        processes.push((process, accepted.await.unwrap()));
    }
    let mut times: [Vec<i64>; WAYS.len()] = Default::default();
    for round in 0..WARM_UP + ROUNDS {
        for ((_, stream), times) in processes.iter().zip(&mut times) {
            let mut stream = stream.try_clone().unwrap();
            let taken = tokio::task::spawn_blocking(move || {
                stream.write_all(&[1]).unwrap();
                let mut microseconds = [0; 8];
                stream.read_exact(&mut microseconds).unwrap();
                i64::from_le_bytes(microseconds)
            });
            let taken = taken.await.unwrap();
            if round >= WARM_UP {
                times.push(taken);
            }
        }
    }
    for (mut process, stream) in processes {
        drop(stream);
        process.wait().unwrap();
    }
    report(times);
    app.stop().await;
}

fn report(mut times: [Vec<i64>; WAYS.len()]) {
    let medians = times.each_mut().map(|times| {
        times.sort_unstable();
        times[times.len() / 2] as f64 / REQUESTS as f64
    });
    println!(
        "processor time of a GET answered from the cache, {ROUNDS} rounds of {REQUESTS}, medians in microseconds\n"
    );
    println!("{:<20} {:>9} {:>9} {:>9}", "told of it", "whole", "more", "");
    for ((name, _), median) in WAYS.iter().zip(medians) {
        let more = median - medians[0];
        println!("{name:<20} {median:>9.1} {more:>9.1} {:>8.1} %", 100.0 * more / medians[0]);
    }
    println!(
        "\ntelemetry costs {:.3} x a request without it (goal: at most 1.05)",
        medians[WAYS.len() - 1] / medians[0]
    );
}

/// A process that answers when it is told to, and says what that took.
async fn answer(parent: &str) {
    // Nothing is sent: what is measured is what requests wait for.
    let (variables, _) = telemetry::init_from_process().unwrap();
    let token = variables.optional_text(TOKEN).unwrap().to_owned();
    let builder = Builder::new(variables).await;
    let (dynamodb, cache) = (builder.dynamodb().unwrap(), builder.redis().unwrap());
    let door = builder.door(&dynamodb, &cache).unwrap();
    let guard = door.reads(Scope::Documents).cached(Duration::from_mins(10));
    let body = || async { ([(CONTENT_TYPE, "application/json")], "x".repeat(BODY)) };
    let router = on_lambda(Router::new().route("/documents", get(body).route_layer(guard)));

    let mut stream = TcpStream::connect(parent).unwrap();
    // Anything else is the end.
    while let Ok(()) = stream.read_exact(&mut [0]) {
        let before = processor_time();
        for _ in 0..REQUESTS {
            let request = Request::get("/documents").header("authorization", format!("Bearer {token}"));
            let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert!(response.status().is_success(), "{response:?}");
            assert_eq!(to_bytes(response.into_body(), usize::MAX).await.unwrap().len(), BODY);
            // As the runtime does between two requests.
            metrics::flush();
        }
        let taken = processor_time() - before;
        stream.write_all(&taken.to_le_bytes()).unwrap();
    }
}

/// Microseconds of this process, in its own code and in the kernel's.
fn processor_time() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    usage.user_time().num_microseconds() + usage.system_time().num_microseconds()
}
