//! A reranker puts passages in order; whatever becomes of it, a search is answered.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{Answer, Reranking, Reranks, TestApp, User};

const DUCKS: &str = "Ducks dive in ponds and eat seeds.";
const GEESE: &str = "Geese graze on grass beside ducks.";
const OWLS: &str = "Owls hunt mice at night.";

/// On a busy machine too, whoever answers does so in time: the reranker, and the cache.
const PATIENT: [(&str, &str); 2] = [("RERANK_TIMEOUT_MS", "10000"), ("REDIS_TIMEOUT_MS", "10000")];

async fn start(reranks: &Reranks) -> TestApp {
    let app = TestApp::start_with(&[&reranks.variables()[..], &PATIENT].concat()).await;
    for (name, text) in [("ducks.md", DUCKS), ("geese.md", GEESE), ("owls.md", OWLS)] {
        app.ada().ready(name, text).await;
    }
    app
}

/// A search whose words make it a new one, so that no cache answers it.
async fn search(user: &User<'_>, more: &str) -> Answer {
    let body = json!({ "query": format!("what do ducks eat in ponds {more}"), "explain": true });
    user.post("/search", body).await.expect(200)
}

fn names(answer: &Answer) -> Vec<&str> {
    answer.body["data"].as_array().unwrap().iter().map(|found| found["filename"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_is_that_of_the_reranker() {
    let reranks = Reranks::start("Owls").await;
    let app = start(&reranks).await;
    let answer = search(&app.ada(), "").await;
    assert_eq!(names(&answer)[0], "owls.md", "{}", answer.body);
    let first = &answer.body["data"][0];
    assert!((first["score"].as_f64().unwrap() - 0.9).abs() < 1e-6, "{first}");
    let explanation = &first["explanation"];
    assert_eq!((&explanation["rerank_rank"], &explanation["fused_rank"]), (&json!(1), &json!(3)), "{first}");
    assert_eq!(reranks.keys(), ["Bearer rerank-secret"]);
    let asked = &reranks.asked()[0];
    assert_eq!((&asked["model"], &asked["top_n"]), (&json!("rerank-v3.5"), &json!(3)));
    assert_eq!(asked["query"], "what do ducks eat in ponds ");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_best_are_reranked_and_the_others_stay_behind_them() {
    let reranks = Reranks::start("nothing").await;
    let app = TestApp::start_with(&[&reranks.variables()[..], &PATIENT, &[("RERANK_PASSAGES", "2")]].concat()).await;
    let ada = app.ada();
    for (name, text) in [("ducks.md", DUCKS), ("geese.md", GEESE), ("owls.md", OWLS)] {
        ada.ready(name, text).await;
    }
    let answer = search(&ada, "").await;
    assert_eq!(reranks.asked()[0]["documents"].as_array().unwrap().len(), 2);
    assert_eq!(names(&answer)[2], "owls.md");
    let scores: Vec<f64> =
        answer.body["data"].as_array().unwrap().iter().map(|f| f["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert!(answer.body["data"][2]["explanation"]["rerank_score"].is_null());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_answer_in_time_the_order_stays_and_nothing_is_cached() {
    let reranks = Reranks::start("Owls").await;
    let app = start(&reranks).await;
    let ada = app.ada();
    let broken = json!({ "results": [{ "index": 7, "relevance_score": 0.5 }] });
    for (n, behaviour) in [
        Reranking::Fails(500),
        Reranking::Fails(429),
        Reranking::Says(json!({ "message": "hello" })),
        Reranking::Says(json!({ "results": [] })),
        Reranking::Says(broken),
        Reranking::Slowly("Owls", Duration::from_mins(1)),
    ]
    .into_iter()
    .enumerate()
    {
        reranks.answers(behaviour.clone());
        let (started, before) = (Instant::now(), reranks.asked().len());
        let answer = search(&ada, &n.to_string()).await;
        assert!(started.elapsed() < Duration::from_secs(50), "{behaviour:?} holds a search up");
        assert_eq!(names(&answer), ["ducks.md", "geese.md", "owls.md"], "{behaviour:?}");
        assert!(answer.body["data"][0]["explanation"]["rerank_rank"].is_null());
        assert_eq!(answer.header("cache-control"), "no-store");
        reranks.answers(Reranking::Prefers("Owls"));
        let again = search(&ada, &n.to_string()).await;
        assert_eq!(names(&again)[0], "owls.md", "{behaviour:?}: the next one gets the better order");
        assert_eq!(reranks.asked().len(), before + 2);
        // That one is kept, unless the stream tells the cache just then of what was changed before.
        let mut asked = 0;
        while asked < reranks.asked().len() {
            asked = reranks.asked().len();
            assert_eq!(names(&search(&ada, &n.to_string()).await)[0], "owls.md");
            assert!(started.elapsed() < Duration::from_mins(1), "{behaviour:?}: nothing is kept");
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_unless_it_is_configured() {
    let reranks = Reranks::start("Owls").await;
    let [_, url, key] = reranks.variables();
    let app = TestApp::start_with(&[url, key]).await;
    app.ada().ready("owls.md", OWLS).await;
    app.ada().ready("ducks.md", DUCKS).await;
    let answer = search(&app.ada(), "").await;
    assert_eq!(names(&answer), ["ducks.md", "owls.md"]);
    assert_eq!(reranks.asked(), Vec::<Value>::new());
    app.stop().await;
}
