//! An answer outlives the connection it is read by: it is resumed elsewhere, event by event as it would have been read.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;
use reqwest::Method;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::llm::{ScriptedLlm, Turn};
use tests::{Answering, Event, Instance, Proxy, RedisProcess, TestApp, User};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;

const BINARY: &str = env!("CARGO_BIN_EXE_instance");
/// Pieces of an answer.
const PIECES: usize = 60;

/// An installation that asks a scripted model, and a process beside it.
pub(crate) struct Scene {
    pub(crate) app: TestApp,
    pub(crate) llm: ScriptedLlm,
    pub(crate) other: Instance,
}

impl Scene {
    pub(crate) async fn begin(variables: &[(&str, &str)]) -> Self {
        let llm = ScriptedLlm::start().await;
        let of_llm = llm.variables("scripted");
        let mut all: Vec<(&str, &str)> = of_llm.iter().map(|(name, value)| (*name, value.as_str())).collect();
        // A machine that is busy is no cache that is away.
        all.push(("REDIS_TIMEOUT_MS", "3000"));
        all.retain(|(name, _)| variables.iter().all(|(given, _)| given != name));
        all.extend(variables);
        let app = TestApp::start_with(&all).await;
        let other = Self::beside(&app, &all).await;
        Self { app, llm, other }
    }

    /// A process beside an installation.
    pub(crate) async fn beside(app: &TestApp, variables: &[(&str, &str)]) -> Instance {
        let (redis, dynamodb) = (app.redis_url().to_owned(), app.dynamodb_endpoint().to_owned());
        let mut all = vec![("REDIS_URL", redis.as_str()), ("DYNAMODB_ENDPOINT", dynamodb.as_str())];
        // A variable that was given wins.
        all.retain(|(name, _)| variables.iter().all(|(given, _)| given != name));
        all.extend(variables);
        Instance::start(BINARY, app.folder(), &all).await
    }

    /// The user at the process beside.
    pub(crate) fn there(&self, user: &User<'_>) -> User<'_> {
        // The client is the application's own, so it lives as long.
        self.app.bearer(user.token().unwrap()).at(self.other.url())
    }

    pub(crate) async fn end(self) {
        drop(self.other);
        self.app.stop().await;
    }
}

fn piece(number: usize) -> String {
    format!("{number} ")
}

fn words() -> String {
    (0..PIECES).map(piece).collect()
}

fn slowly(pause: u64) -> Turn {
    Turn::pieces((0..PIECES).map(piece)).paced(Duration::ZERO, Duration::from_millis(pause))
}

/// Reads an answer here, loses the connection after so many events, and goes on there, up to three times. All that was read.
async fn interrupted(here: &User<'_>, there: &User<'_>, cuts: &[usize]) -> (String, Vec<Event>) {
    let mut answering = Answering::ask(here, Answering::question("Count.")).await;
    let message = answering.message_id().await;
    let mut seen = Vec::new();
    for (number, cut) in cuts.iter().enumerate() {
        answering.read(*cut).await;
        // What came beyond was not seen.
        let mut events = std::mem::take(&mut answering.events);
        events.truncate(*cut);
        let is_over = events.last().is_some_and(|event| event.name == "done");
        seen.extend(events);
        drop(answering);
        if is_over {
            return (message, seen);
        }
        let user = if number % 2 == 0 { there } else { here };
        answering = Answering::resume(user, &message, seen.len()).await.expect("there is more");
    }
    seen.extend(answering.to_end().await);
    (message, seen)
}

fn is_whole(events: &[Event]) {
    let numbers: Vec<String> = events.iter().map(|event| event.id.clone()).collect();
    let counted: Vec<String> = (1..=events.len()).map(|number| number.to_string()).collect();
    assert_eq!(numbers, counted, "no event is missing, and none came twice");
    assert_eq!((Answering::text(events), Answering::finish_reason(events)), (words(), "stop"));
}

/// Interrupts so many answers at places of chance; how many were whole.
async fn rounds(scene: &Scene, rounds: usize, at_once: usize) -> usize {
    let user = scene.app.ada();
    let there = scene.there(&user);
    // The start, the pieces, usage and done.
    let events = PIECES + 3;
    stream::iter(0..rounds)
        .map(|_| async {
            let cuts: Vec<usize> = (0..=fastrand::usize(..3)).map(|_| 1 + fastrand::usize(..events)).collect();
            let (message, seen) = interrupted(&user, &there, &cuts).await;
            is_whole(&seen);
            let uninterrupted = Answering::resume(&there, &message, 0).await.expect("it is kept").to_end().await;
            assert_eq!(seen, uninterrupted, "{cuts:?}");
            assert!(Answering::resume(&user, &message, seen.len()).await.is_none(), "there is no more");
        })
        .buffer_unordered(at_once)
        .count()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_interrupted_anywhere_goes_on_in_another_process() {
    let scene = Scene::begin(&[]).await;
    scene.llm.answer(|_| slowly(3));
    let whole = rounds(&scene, 200, 8).await;
    println!("{whole} of 200 interrupted answers were as if they had not been");
    assert_eq!(whole, 200);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_cache_holds_up_no_answer_and_loses_nothing_of_it() {
    let redis = RedisProcess::start().await;
    let way = Proxy::start(&redis.url()).await;
    let scene = Scene::begin(&[("REDIS_URL", &way.url())]).await;
    scene.llm.answer(|_| slowly(3));
    way.delay(Duration::from_millis(20), Duration::from_millis(20));
    assert_eq!(rounds(&scene, 40, 8).await, 40);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_client_is_gone_is_finished_and_stored() {
    let scene = Scene::begin(&[]).await;
    let gate = Arc::new(Semaphore::new(0));
    scene.llm.then(Turn::text("Ducks ").and_wait(&gate).and_text("swim."));
    let user = scene.app.ada();
    let mut answering = Answering::ask(&user, Answering::question("Ducks?")).await;
    let conversation = answering.read_to("start").await.data["conversation_id"].as_str().unwrap().to_owned();
    answering.read_to("delta").await;
    drop(answering);
    gate.add_permits(1);
    assert!(scene.llm.quiet_within(Duration::from_secs(10)).await);
    let started = Instant::now();
    let message = loop {
        let read = user.get(&format!("/conversations/{conversation}")).await.expect(200).body;
        let message = read["messages"][1].clone();
        if message["finish_reason"] == "stop" {
            break message;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{read}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(message["content"], "Ducks swim.");
    assert_eq!(scene.llm.left(), 0, "nobody left the model");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_an_answer_whose_process_died_is_told_so() {
    let scene = Scene::begin(&[]).await;
    scene.llm.then(Turn::text("Ducks ").and_hang());
    let user = scene.app.ada();
    let mut answering = Answering::ask(&scene.there(&user), Answering::question("Ducks?")).await;
    let message = answering.message_id().await;
    answering.read_to("delta").await;
    let mut follower = Answering::resume(&user, &message, 0).await.unwrap();
    follower.read_to("delta").await;
    let Scene { app, other, llm } = scene;
    drop(other);
    let killed = Instant::now();
    let events = follower.to_end().await;
    println!("the end of a process was noticed after {:?}", killed.elapsed());
    assert!(killed.elapsed() < Duration::from_secs(20));
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["start", "delta", "error", "done"]);
    assert_eq!((&events[2].data["code"], Answering::finish_reason(&events)), (&json!("unavailable"), "error"));
    drop(llm);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_its_users_alone() {
    let scene = Scene::begin(&[]).await;
    let gate = Arc::new(Semaphore::new(0));
    scene.llm.then(Turn::text("Ducks ").and_wait(&gate).and_text("swim."));
    let user = scene.app.ada();
    let mut answering = Answering::ask(&user, Answering::question("Ducks?")).await;
    let message = answering.message_id().await;
    let key = user.post("/keys", json!({ "name": "mine" })).await.expect(201).body;
    for other in [
        scene.app.user("acme", "olga", Role::Owner),
        scene.app.user("globex", "ada", Role::Owner),
        // What a key asks is not its maker's, and the other way round.
        scene.app.bearer(key["key"].as_str().unwrap()),
    ] {
        for at in [scene.app.running().url().as_str(), scene.other.url()] {
            other.at(at).get(&format!("/chat/{message}/stream")).await.expect(404);
            other.at(at).post(&format!("/chat/{message}/stop"), Value::Null).await.expect(404);
        }
    }
    for wrong in ["?after=-1", "?after=x", "?from=1"] {
        user.get(&format!("/chat/{message}/stream{wrong}")).await.expect(400);
    }
    user.get("/chat/nothing/stream").await.expect(404);
    // The header wins: a browser that reconnects asks for the same address again.
    let reconnecting = scene.app.ada().with("Last-Event-ID", "2");
    gate.add_permits(1);
    let response = reconnecting.send(Method::GET, &format!("/chat/{message}/stream?after=0"), "", Vec::new()).await;
    assert_eq!(Answering::of(response).to_end().await[0].id, "3");
    assert_eq!(Answering::finish_reason(&answering.to_end().await), "stop");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_on_when_the_cache_dies_and_only_resuming_is_gone() {
    let mut redis = RedisProcess::start().await;
    let scene = Scene::begin(&[("REDIS_URL", &redis.url())]).await;
    scene.llm.answer(|_| slowly(20));
    let user = scene.app.ada();
    let mut answering = Answering::ask(&user, Answering::question("Count.")).await;
    let message = answering.message_id().await;
    answering.read(10).await;
    redis.kill().await;
    is_whole(&answering.to_end().await);
    let refused = user.get(&format!("/chat/{message}/stream?after=10")).await.expect(503);
    assert_ne!(refused.header("retry-after"), "");
    user.post(&format!("/chat/{message}/stop"), Value::Null).await.expect(503);
    // Without it from the beginning; what is made here can be stopped from here.
    let mut answering = Answering::ask(&user, Answering::question("Count.")).await;
    let message = answering.message_id().await;
    user.post(&format!("/chat/{message}/stop"), Value::Null).await.expect(202);
    assert_eq!(Answering::finish_reason(&answering.to_end().await), "stopped");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_holds_the_model_back_and_takes_no_memory() {
    // More than the buffers of all the sockets on the way.
    const LONG: usize = 60_000;
    const CLIENTS: usize = 4;
    let limits = [("CHAT_MAX_OUTPUT_TOKENS", "65536"), ("CHAT_MAX_TOKENS", "1000000")];
    let scene = Scene::begin(&limits).await;
    scene.llm.answer(|_| Turn::pieces((0..LONG).map(|_| "a")).usage(10, 10));
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", scene.other.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
    };
    let user = scene.app.ada();
    let address: SocketAddr = scene.other.url().strip_prefix("http://").unwrap().parse().unwrap();
    let body = Answering::question("Long?").to_string();
    let head = format!(
        "POST /chat HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        user.token().unwrap(),
        body.len()
    );
    let mut clients = Vec::new();
    let mut before = 0;
    for number in 0..=CLIENTS {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut client = socket.connect(address).await.unwrap();
        client.write_all(head.as_bytes()).await.unwrap();
        clients.push(client);
        assert!(scene.llm.asked_within(number + 1, Duration::from_secs(10)).await);
        if number == 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            before = resident();
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let grown = resident().saturating_sub(before);
    println!("{} kB for each client that does not read", grown / CLIENTS);
    assert!(grown / CLIENTS < 2048, "{grown} kB for {CLIENTS} clients");
    assert!(scene.llm.open() > CLIENTS / 2, "the model waits for those who do not read");
    drop(clients);
    assert!(scene.llm.quiet_within(Duration::from_mins(2)).await, "without them it goes on");
    scene.end().await;
}
