//! As many answers at a time as a user and a tenant may have, whichever process makes them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::llm::Turn;
use tests::{Answering, Instance, RedisProcess, TestApp, User};
use tokio::sync::Semaphore;

use crate::chat_resume::Scene;

/// Answers that wait at a gate.
fn waiting(scene: &Scene) -> Arc<Semaphore> {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    scene.llm.answer(move |_| Turn::text("Ducks ").and_wait(&held).and_text("swim."));
    gate
}

async fn limit(app: &TestApp, limits: Value) {
    let operator = app.user("platform", "olga", Role::Operator);
    operator.put("/tenants/acme", json!({ "limits": limits })).await.expect(200);
}

/// An answer that waits.
async fn hold(user: &User<'_>) -> Answering {
    let mut answering = Answering::ask(user, Answering::question("Ducks?")).await;
    answering.read_to("delta").await;
    answering
}

async fn refused(user: &User<'_>, policy: &str) {
    let refused = user.post("/chat", Answering::question("Ducks?")).await.expect(429);
    assert_eq!(
        (&refused.body["code"], &refused.body["violated-policies"]),
        (&json!("too_many_streams"), &json!([policy]))
    );
    assert_ne!(refused.header("retry-after"), "");
    assert!(refused.body["detail"].as_str().unwrap().contains(policy), "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_slots_of_a_user_and_of_a_tenant() {
    let scene = Scene::begin(&[]).await;
    let gate = waiting(&scene);
    limit(&scene.app, json!({ "user_streams": 2, "tenant_streams": 3 })).await;
    let (ada, bob) = (scene.app.ada(), scene.app.user("acme", "bob", Role::Viewer));
    let (ada_there, bob_there) = (scene.there(&ada), scene.there(&bob));
    let held = [hold(&ada).await, hold(&ada_there).await];
    refused(&ada, "user_streams").await;
    refused(&ada_there, "user_streams").await;
    let third = hold(&bob_there).await;
    refused(&bob, "tenant_streams").await;
    // What was refused left no conversation behind.
    assert_eq!(bob.get("/conversations").await.expect(200).body["data"].as_array().unwrap().len(), 1);
    Answering::ask(&scene.app.user("globex", "gus", Role::Viewer), Answering::question("Ducks?")).await;
    gate.add_permits(100);
    for answering in held.into_iter().chain([third]) {
        assert_eq!(Answering::finish_reason(&answering.to_end().await), "stop");
    }
    // Who saw the end has the slot again.
    for _ in 0..5 {
        for user in [&ada, &ada_there] {
            assert_eq!(Answering::finish_reason(&hold(user).await.to_end().await), "stop");
        }
    }
    // So has who was refused for another reason.
    limit(&scene.app, json!({ "user_streams": 1 })).await;
    let unknown = json!({ "message": "Ducks?", "conversation_id": "01J9ZQ3W6V8Y0ABCDEFGHJKMNP" });
    ada.post("/chat", unknown).await.expect(404);
    assert_eq!(Answering::finish_reason(&hold(&ada).await.to_end().await), "stop");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_outlast_a_silent_model_and_end_with_their_process() {
    let scene = Scene::begin(&[]).await;
    let gate = waiting(&scene);
    limit(&scene.app, json!({ "user_streams": 1 })).await;
    let ada = scene.app.ada();
    let held = hold(&scene.there(&ada)).await;
    // Longer than a slot lasts by itself.
    tokio::time::sleep(Duration::from_secs(8)).await;
    refused(&ada, "user_streams").await;
    let Scene { app, other, llm } = scene;
    drop(other);
    let killed = Instant::now();
    let ada = app.ada();
    while ada.post("/chat", json!({ "message": "Ducks?", "stream": false })).await.status == 429 {
        assert!(killed.elapsed() < Duration::from_secs(20), "the slot is lost");
        gate.add_permits(1);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("a slot was free {:?} after its process died", killed.elapsed());
    drop((held, llm));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_cache_a_process_gives_a_share_of_the_slots() {
    let mut redis = RedisProcess::start().await;
    let scene = Scene::begin(&[("REDIS_URL", &redis.url()), ("DOOR_FALLBACK_SHARE_SPENDING", "0.5")]).await;
    let gate = waiting(&scene);
    limit(&scene.app, json!({ "user_streams": 4 })).await;
    let ada = scene.app.ada();
    let first = hold(&ada).await;
    redis.kill().await;
    let second = hold(&ada).await;
    refused(&ada, "user_streams").await;
    gate.add_permits(100);
    for answering in [first, second] {
        assert_eq!(Answering::finish_reason(&answering.to_end().await), "stop");
    }
    let _: &Instance = &scene.other;
    hold(&ada).await;
    scene.end().await;
}
