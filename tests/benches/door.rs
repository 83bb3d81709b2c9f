//! What the door costs: `make bench`.
//!
//! Each way of answering runs behind the same verification of the token, in one process, with 0.3 ms of network between it
//! and Redis. What they have in common is measured too and taken off. They take turns, so that a noisy moment hits all, and
//! medians are compared as ratios.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot be taken ends")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use shared::auth::Authenticator;
use shared::clients::{Builder, Redis, Script};
use shared::door::Scope;
use shared::http::boundary;
use shared::tenancy::Role;
use tests::{RedisProcess, TestApp};
use tower::ServiceExt;

/// Half of the round trip between zones of a region; inside one it is less.
const ONE_WAY: Duration = Duration::from_micros(150);
const BODY: usize = 1_000;
const WARM_UP: usize = 200;
const ROUNDS: usize = 3_000;

/// The bucket that each of the separate commands takes from: the same script as the door's, for one key.
const BUCKET: &str =
    concat!(include_str!("../../shared/src/door/bucket.lua"), include_str!("../../shared/src/door/take.lua"));

#[tokio::main]
async fn main() {
    let redis = RedisProcess::start().await;
    let far = far(&redis.url());
    let app =
        TestApp::start_with(&[("REDIS_URL", &far), ("REDIS_TIMEOUT_MS", "500"), ("DOOR_TRUST_MS", "600000")]).await;
    let builder = Builder::new(app.running().variables().clone()).await.unwrap();
    let (dynamodb, cache) = (builder.dynamodb().unwrap(), builder.redis().unwrap());
    let door = builder.door(&dynamodb, &cache).unwrap();
    let authenticator = door.authenticator().clone();
    store(&cache).await;

    let verified = |router: Router| router.layer(middleware::from_fn_with_state(authenticator.clone(), verify));
    let guard = door.reads(Scope::Documents).cached(Duration::from_mins(10));
    let (for_get, for_separate) = (cache.clone(), cache.clone());
    let ways = [
        ("nothing", verified(Router::new().route("/x", get(body)))),
        ("a plain GET", verified(Router::new().route("/x", get(move || plain_get(for_get.clone()))))),
        ("the door", Router::new().route("/x", get(body).route_layer(guard))),
        ("separate commands", verified(Router::new().route("/x", get(move || separate(for_separate.clone()))))),
    ];
    let ways = ways.map(|(name, router)| (name, boundary(router)));
    let token = app.token("acme", "ada", Role::Editor);
    let mut times: [Vec<Duration>; 4] = Default::default();
    for round in 0..WARM_UP + ROUNDS {
        for ((_, router), times) in ways.iter().zip(&mut times) {
            let request = Request::get("/x").header("authorization", format!("Bearer {token}")).body(Body::empty());
            let started = Instant::now();
            let response = router.clone().oneshot(request.unwrap()).await.unwrap();
            assert!(response.status().is_success());
            assert_eq!(to_bytes(response.into_body(), usize::MAX).await.unwrap().len(), BODY);
            if round >= WARM_UP {
                times.push(started.elapsed());
            }
        }
    }
    report(ways.map(|(name, _)| name), times);
    app.stop().await;
}

fn report(names: [&str; 4], mut times: [Vec<Duration>; 4]) {
    let medians = times.each_mut().map(|times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    let net = medians.map(|median| median.saturating_sub(medians[0]).as_secs_f64() * 1e6);
    println!("{ROUNDS} rounds, 0.3 ms to Redis and back, {BODY} bytes; medians in microseconds\n");
    println!("{:<20} {:>9} {:>9} {:>14}", "", "whole", "net", "to a GET (net)");
    for ((name, median), net_of) in names.iter().zip(medians).zip(net) {
        let ratio = if net_of > 0.0 { format!("{:.2} x", net_of / net[1]) } else { String::new() };
        println!("{name:<20} {:>9} {net_of:>9.0} {ratio:>14}", median.as_micros());
    }
    println!("\nthe door costs {:.2} x a plain GET (goal: at most 1.3)", net[2] / net[1]);
    println!("separate commands cost {:.2} x the door (goal: at least 3)", net[3] / net[2]);
}

async fn body() -> Response {
    let mut response = Response::new(Body::from("x".repeat(BODY)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn verify(State(authenticator): State<Authenticator>, request: Request, next: Next) -> Response {
    authenticator.authenticate(request.headers()).await.unwrap();
    next.run(request).await
}

async fn store(cache: &Redis) {
    for key in ["plan", "profile", "permissions", "epoch", "body"] {
        let value = if key == "body" { "x".repeat(BODY) } else { "x".repeat(100) };
        let () = cache.query(redis::cmd("SET").arg(format!("{{bench}}:{key}")).arg(value)).await.unwrap();
    }
}

async fn plain_get(cache: Redis) -> String {
    cache.query(redis::cmd("GET").arg("{bench}:body")).await.unwrap()
}

/// The same questions one after another, as most services ask them: three limits, two records, the epoch, the answer.
async fn separate(cache: Redis) -> String {
    let bucket = Script::new(BUCKET);
    for key in ["ip", "tenant", "user"] {
        let call = bucket.call(&[format!("{{bench}}:bucket:{key}")]).arg(0).arg(1).arg(1).arg(1_000_000);
        let _: Vec<i64> = call.run(&cache).await.unwrap();
    }
    for key in ["plan", "profile", "epoch"] {
        let _: String = cache.query(redis::cmd("GET").arg(format!("{{bench}}:{key}"))).await.unwrap();
    }
    plain_get(cache).await
}

/// An address from which everything takes [`ONE_WAY`] to the target and as long back. Threads, because timers of the
/// runtime are no finer than a millisecond.
fn far(url: &str) -> String {
    let target: SocketAddr = url.trim_start_matches("redis://").parse().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(target).unwrap());
            for stream in [&client, &server] {
                stream.set_nodelay(true).unwrap();
            }
            carry(client.try_clone().unwrap(), server.try_clone().unwrap());
            carry(server, client);
        }
    });
    format!("redis://{address}")
}

/// Carries bytes one way. Reading and writing are threads of their own, so that what follows closely waits no longer.
fn carry(mut from: TcpStream, mut to: TcpStream) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + ONE_WAY, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (at, bytes) in receiver {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
    });
}
