//! The budget of a day as callers see it, and that it is settled whatever becomes of an answer.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::llm::{ScriptedLlm, Turn};
use tests::{Answering, TestApp};

struct Scene {
    app: TestApp,
    llm: ScriptedLlm,
}

impl Scene {
    async fn begin(variables: &[(&str, &str)]) -> Self {
        let llm = ScriptedLlm::start().await;
        let of_llm = llm.variables("scripted");
        let mut all: Vec<(&str, &str)> = of_llm.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend(variables);
        Self { app: TestApp::start_with(&all).await, llm }
    }

    async fn describe(&self, tenant: Value) {
        let operator = self.app.user("platform", "olga", Role::Operator);
        operator.put("/tenants/acme", tenant).await.expect(200);
    }

    async fn daily(&self) -> Value {
        let owner = self.app.user("acme", "olga", Role::Owner);
        owner.get("/usage").await.expect(200).body["daily_tokens"].clone()
    }

    async fn ask(&self) -> tests::Answer {
        self.app.ada().post("/chat", json!({ "message": "Ducks?", "stream": false })).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_takes_what_the_model_counts_and_none_begins_without_room() {
    let scene = Scene::begin(&[]).await;
    scene.describe(json!({ "limits": { "daily_tokens": 20_000 } })).await;
    scene.llm.answer(|_| Turn::text("Ducks swim.").usage(7_000, 500));
    let answer = scene.ask().await.expect(200).body;
    assert_eq!(answer["usage"], json!({ "input_tokens": 7_000, "output_tokens": 500 }));
    let daily = json!({ "quota": 20_000, "used": 7_500, "reserved": 0, "remaining": 12_500 });
    assert_eq!(scene.daily().await, daily);
    scene.ask().await.expect(200);
    let refused = scene.ask().await.expect(429);
    assert_eq!(refused.body["code"], "budget_exhausted");
    assert_eq!(refused.body["violated-policies"], json!(["daily_tokens"]));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=86_400).contains(&wait), "{wait}");
    let conversations = scene.app.ada().get("/conversations").await.expect(200).body;
    assert_eq!(conversations["data"].as_array().unwrap().len(), 2, "what was refused left nothing");
    assert_eq!(scene.daily().await["used"], 15_000);
    // A limit that is raised holds at once, and the answerer that needs no model needs no budget.
    scene.describe(json!({ "limits": { "daily_tokens": 1 }, "chat": { "model": "extractive" } })).await;
    let answer = scene.ask().await.expect(200).body;
    assert_eq!(answer["model"], "extractive");
    let usage = scene.app.user("acme", "olga", Role::Owner).get("/usage").await.expect(200).body;
    let took = answer["usage"]["input_tokens"].as_u64().unwrap() + answer["usage"]["output_tokens"].as_u64().unwrap();
    assert_eq!((&usage["daily_tokens"]["used"], &usage["chat_tokens"]), (&json!(15_000), &json!(15_000 + took)));
    scene.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_at_the_same_time_take_no_more_than_there_is() {
    let scene = Scene::begin(&[]).await;
    scene.describe(json!({ "limits": { "daily_tokens": 40_000 } })).await;
    scene.llm.answer(|request| {
        let output = request.max_tokens().unwrap_or(0) as usize;
        Turn::text("Ducks swim.").usage(3_000, output).paced(Duration::from_millis(200), Duration::ZERO)
    });
    let outcomes = join_all((0..30).map(|_| scene.ask())).await;
    let answered = outcomes.iter().filter(|answer| answer.status == 200).count();
    assert!(outcomes.iter().all(|answer| answer.status == 200 || answer.body["code"] == "budget_exhausted"));
    let daily = scene.daily().await;
    println!("{answered} of 30 were answered: {daily}");
    assert!((1..30).contains(&answered));
    assert_eq!(daily["reserved"], 0);
    assert!(daily["used"].as_u64().unwrap() <= 40_000, "{daily}");
    scene.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_next_turn_has_no_room_ends_with_what_it_has() {
    let scene = Scene::begin(&[]).await;
    scene.describe(json!({ "limits": { "daily_tokens": 12_000 } })).await;
    scene.llm.then(Turn::text("Let me see. ").and_call("search", &json!({ "query": "ducks" })).usage(10_900, 100));
    let answering = Answering::ask(&scene.app.ada(), Answering::question("Ducks?")).await;
    let events = answering.to_end().await;
    assert_eq!((Answering::text(&events).trim(), Answering::finish_reason(&events)), ("Let me see.", "budget"));
    assert_eq!((scene.llm.asked(), scene.daily().await["used"].clone()), (1, json!(11_000)));
    assert_eq!(scene.daily().await["reserved"], 0);
    scene.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_the_model_and_the_bounds_it_was_given() {
    let scene = Scene::begin(&[("LLM_MODELS", "scripted-len5")]).await;
    scene.describe(json!({ "chat": { "model": "scripted-len5", "max_output_tokens": 77 } })).await;
    assert_eq!(scene.ask().await.expect(200).body["model"], "scripted-len5");
    assert_eq!(scene.llm.requests()[0].max_tokens(), Some(77));
    let globex = scene.app.user("globex", "gus", Role::Viewer);
    let answer = globex.post("/chat", json!({ "message": "Ducks?", "stream": false })).await.expect(200).body;
    assert_eq!(answer["model"], "scripted");
    scene.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_is_settled_whatever_the_model_does() {
    let faults = [
        "breaks-after-3",
        "bad-json",
        "bad-json-after-2",
        "empty",
        "ends-after-2",
        "error-after-2",
        "hangs",
        "hangs-after-2",
        "status-400",
        "status-429",
        "status-500",
    ];
    let timeouts = [
        ("LLM_MODELS", faults.join(",")),
        ("LLM_FIRST_TIMEOUT_MS", "300".to_owned()),
        ("LLM_IDLE_TIMEOUT_MS", "300".to_owned()),
    ];
    let timeouts: Vec<(&str, &str)> = timeouts.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let scene = Scene::begin(&timeouts).await;
    let mut used = 0;
    for fault in faults {
        scene.describe(json!({ "chat": { "model": fault } })).await;
        let events = Answering::ask(&scene.app.ada(), Answering::question("Ducks?")).await.to_end().await;
        assert_eq!(Answering::finish_reason(&events), "error", "{fault}");
        let usage = &events.iter().find(|event| event.name == "usage").unwrap().data;
        used += usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap();
        let daily = scene.daily().await;
        assert_eq!((&daily["reserved"], &daily["used"]), (&json!(0), &json!(used)), "{fault}");
        assert!(scene.llm.quiet_within(Duration::from_secs(5)).await, "{fault}");
    }
    scene.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_with_a_key_is_answered_once_unless_it_is_streamed() {
    let scene = Scene::begin(&[]).await;
    let user = scene.app.ada().with("Idempotency-Key", "one");
    let question = json!({ "message": "Ducks?", "stream": false });
    let first = user.post("/chat", question.clone()).await.expect(200);
    let again = user.post("/chat", question).await.expect(200);
    assert_eq!((&first.body, again.header("idempotency-replayed")), (&again.body, "true"));
    assert_eq!(scene.llm.asked(), 1);
    user.post("/chat", json!({ "message": "Geese?", "stream": false })).await.expect(422);
    let streamed = scene.app.ada().with("Idempotency-Key", "two").post("/chat", json!({ "message": "Ducks?" })).await;
    assert_eq!(streamed.expect(400).body["errors"][0]["pointer"], "Idempotency-Key");
    assert_eq!(scene.llm.asked(), 1);
    scene.app.stop().await;
}
