//! An answer is stopped from anywhere, soon; what was said is kept, and what was reserved is not.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::llm::Turn;
use tests::{Answering, User};

use crate::chat_resume::Scene;

/// An answer that takes a while.
fn long() -> Turn {
    Turn::pieces((0..500).map(|number| format!("{number} "))).paced(Duration::ZERO, Duration::from_millis(20))
}

/// Stops an answer after so many events, in a process of choice; how long that took.
async fn stop(reader: &User<'_>, stopper: &User<'_>, after: usize) -> (Duration, u64) {
    let mut answering = Answering::ask(reader, Answering::question("Count.")).await;
    let start = answering.read_to("start").await.data.clone();
    let message = start["message_id"].as_str().unwrap();
    answering.read(after).await;
    let asked = Instant::now();
    let path = format!("/chat/{message}/stop");
    stopper.post(&path, Value::Null).await.expect(202);
    let events = answering.to_end().await;
    let took = asked.elapsed();
    assert_eq!(Answering::finish_reason(&events), "stopped");
    stopper.post(&path, Value::Null).await.expect(202);
    let read = reader.get(&format!("/conversations/{}", start["conversation_id"].as_str().unwrap())).await.expect(200);
    let stored = &read.body["messages"][1];
    assert_eq!((&stored["finish_reason"], &stored["content"]), (&json!("stopped"), &json!(Answering::text(&events))));
    let usage = &events.iter().find(|event| event.name == "usage").unwrap().data;
    assert_eq!(&stored["usage"], usage);
    (took, usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_stopped_from_any_process_and_the_model_is_left() {
    const RUNS: usize = 60;
    let scene = Scene::begin(&[]).await;
    scene.llm.answer(|_| long());
    let reader = scene.app.ada();
    let there = scene.there(&reader);
    let (mut times, mut used) = (Vec::new(), 0);
    for number in 0..RUNS {
        let (reader, stopper) = match number % 3 {
            0 => (&reader, &reader),
            1 => (&reader, &there),
            _ => (&there, &reader),
        };
        let (took, tokens) = stop(reader, stopper, 1 + number % 7).await;
        times.push(took);
        used += tokens;
        assert!(scene.llm.quiet_within(Duration::from_secs(5)).await, "the model's connection is closed");
        assert_eq!(scene.llm.left(), number + 1);
    }
    times.sort();
    let at = |share: usize| times[(RUNS - 1) * share / 100];
    println!("stopped after: p50 {:?}, p95 {:?}, most {:?}, of {RUNS}", at(50), at(95), at(100));
    assert!(at(95) < Duration::from_secs(2));
    let usage = scene.app.user("acme", "olga", Role::Owner).get("/usage").await.expect(200).body;
    assert_eq!((&usage["daily_tokens"]["reserved"], &usage["daily_tokens"]["used"]), (&json!(0), &json!(used)));
    reader.post("/chat/01J9ZQ3W6V8Y0ABCDEFGHJKMNP/stop", Value::Null).await.expect(404);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_being_made_end_before_their_process_does() {
    let scene = Scene::begin(&[]).await;
    scene.llm.answer(|_| long());
    let mut answering = Answering::ask(&scene.app.ada(), Answering::question("Count.")).await;
    answering.read(3).await;
    let Scene { app, other, llm } = scene;
    drop(other);
    let asked = Instant::now();
    let (events, ()) = tokio::join!(answering.to_end(), app.stop());
    assert_eq!(Answering::finish_reason(&events), "stopped");
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert!(llm.quiet_within(Duration::from_secs(5)).await);
}
