//! The tokens of a day: never more than there are, whoever takes them at the same time, and settled once.

use std::time::Duration;

use futures::future::join_all;
use local::EmbeddedDynamoDb;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use shared::budgets::{Budgets, Reservation, Spent};
use shared::clients::Builder;
use shared::config::Variables;
use shared::error::Error;
use shared::tables;
use shared::tenancy::{MessageId, Role, TenantId};
use shared::usage::Month;
use tempfile::TempDir;
use tests::{Proxy, TestApp};
use time::OffsetDateTime;
use time::macros::datetime;

const NOON: OffsetDateTime = datetime!(2026-11-26 12:00:00 UTC);
const LATER: OffsetDateTime = datetime!(2026-11-26 12:02:00 UTC);
const BUDGET: u64 = 1_000;

/// A budget of a tenant.
#[derive(Clone, Copy)]
struct Day<'a> {
    budgets: &'a Budgets,
    tenant: &'a TenantId,
}

impl Day<'_> {
    async fn reserve(self, tokens: u64) -> Result<Reservation, Error> {
        self.budgets.reserve(self.tenant, MessageId::new(), BUDGET, tokens, NOON, LATER).await
    }

    async fn spent(self) -> Spent {
        self.budgets.spent(self.tenant, NOON).await.unwrap()
    }
}

/// A database of its own.
struct Scene {
    database: EmbeddedDynamoDb,
    budgets: Budgets,
    tenant: TenantId,
    _folder: TempDir,
}

impl Scene {
    async fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = EmbeddedDynamoDb::start(&folder.path().join("tables")).await.unwrap();
        let budgets = budgets(&database.url()).await;
        Self { database, budgets, tenant: "acme".parse().unwrap(), _folder: folder }
    }

    fn day(&self) -> Day<'_> {
        Day { budgets: &self.budgets, tenant: &self.tenant }
    }
}

/// Budgets in the database at an address.
async fn budgets(url: &str) -> Budgets {
    let variables = Variables::from_pairs([("DYNAMODB_ENDPOINT", url), ("DYNAMODB_ATTEMPT_TIMEOUT_MS", "2000")]);
    let dynamodb = Builder::new(variables).await.unwrap().dynamodb().unwrap();
    tables::create(&dynamodb, shared::editions::Edition::FIRST, 384).await.unwrap();
    Budgets::new(&dynamodb)
}

fn is_exhausted<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::BudgetExhausted { budget: BUDGET, .. }))
}

/// An answer: what it reserves, what further turns need of it, how much of it is used, in hundredths, and whether it dies.
#[derive(Debug, Clone)]
struct Answer {
    reserves: u64,
    turns: Vec<u64>,
    uses: u64,
    dies: bool,
}

fn answer() -> impl Strategy<Value = Answer> {
    (1..400_u64, vec(1..200_u64, 0..4), 0..=100_u64, prop::bool::weighted(0.1))
        .prop_map(|(reserves, turns, uses, dies)| Answer { reserves, turns, uses, dies })
}

/// What an answer used for certain: what it settled, or what it left reserved.
async fn run(day: Day<'_>, answer: &Answer) -> u64 {
    let mut reservation = match day.reserve(answer.reserves).await {
        Ok(reservation) => reservation,
        refused => {
            assert!(is_exhausted(&refused), "{refused:?}");
            return 0;
        }
    };
    let mut covered = answer.reserves;
    for turn in &answer.turns {
        if !reservation.cover(covered + turn).await.unwrap() {
            break;
        }
        covered += turn;
    }
    if answer.dies {
        return covered;
    }
    let used = covered * answer.uses / 100;
    reservation.settle(used).await.unwrap();
    reservation.settle(used).await.unwrap();
    used
}

#[test]
fn answers_side_by_side_never_take_more_than_the_budget() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let scene = runtime.block_on(Scene::begin());
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    // Each case has a day of its own.
    let tenants = std::cell::RefCell::new(0..);
    runner
        .run(&vec(answer(), 1..24), |answers| {
            let tenant: TenantId = format!("tenant-{}", tenants.borrow_mut().next().unwrap()).parse().unwrap();
            let day = Day { budgets: &scene.budgets, tenant: &tenant };
            runtime.block_on(async {
                let watched = async {
                    let mut most = 0;
                    for _ in 0..20 {
                        let spent = day.spent().await;
                        most = most.max(spent.used + spent.reserved);
                        tokio::task::yield_now().await;
                    }
                    most
                };
                let (used, most) = tokio::join!(join_all(answers.iter().map(|answer| run(day, answer))), watched);
                assert!(most <= BUDGET, "{most}");
                let spent = day.spent().await;
                assert_eq!(spent.used + spent.reserved, used.iter().sum::<u64>());
                // Once they must have ended, what the dead left is used.
                let spent = day.budgets.spent(day.tenant, LATER).await.unwrap();
                assert_eq!((spent.used, spent.reserved), (used.iter().sum::<u64>(), 0));
            });
            Ok(())
        })
        .unwrap();
    runtime.block_on(scene.database.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_answers_at_the_same_moment_as_many_begin_as_there_is_room_for() {
    let scene = Scene::begin().await;
    let day = scene.day();
    let outcomes = join_all((0..40).map(|_| day.reserve(100))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 10);
    assert!(outcomes.iter().filter(|outcome| outcome.is_err()).all(is_exhausted));
    let mut first = outcomes.into_iter().find_map(Result::ok).unwrap();
    assert!(!first.cover(101).await.unwrap(), "there is no room for more");
    first.settle(30).await.unwrap();
    assert_eq!(day.spent().await, Spent { used: 30, reserved: 900, unbounded: 0 });
    day.reserve(70).await.unwrap();
    // The day in UTC decides, and the next one has a budget of its own.
    let tomorrow = datetime!(2026-11-27 00:00:00 UTC);
    scene.budgets.reserve(&scene.tenant, MessageId::new(), BUDGET, BUDGET, tomorrow, tomorrow).await.unwrap();
    scene.budgets.count(&scene.tenant, 5, tomorrow).await.unwrap();
    let month = Month::of(NOON);
    assert_eq!(scene.budgets.used_in(&scene.tenant, &month, tomorrow).await.unwrap(), 1_000 + 1_000 + 5);
    assert!(is_exhausted(
        &scene.budgets.reserve(&scene.tenant, MessageId::new(), BUDGET, BUDGET + 1, NOON, LATER).await
    ));
    let other = "globex".parse().unwrap();
    assert_eq!(scene.budgets.used_in(&other, &month, tomorrow).await.unwrap(), 0);
    scene.database.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_database_that_is_lost_changes_nothing() {
    let scene = Scene::begin().await;
    let way = Proxy::start(&scene.database.url()).await;
    let through = budgets(&way.url()).await;
    let mut reservation = through.reserve(&scene.tenant, MessageId::new(), BUDGET, 100, NOON, LATER).await.unwrap();
    // What is said arrives, and its answer comes after the client has given up and said it again.
    for step in ["cover", "settle"] {
        way.delay(Duration::ZERO, Duration::from_millis(2_500));
        let heal = async {
            tokio::time::sleep(Duration::from_millis(2_100)).await;
            way.delay(Duration::ZERO, Duration::ZERO);
        };
        let say = async {
            match step {
                "cover" => assert!(reservation.cover(300).await.unwrap()),
                _ => reservation.settle(120).await.unwrap(),
            }
        };
        tokio::join!(say, heal);
        let expected = if step == "cover" { (0, 300) } else { (120, 0) };
        let spent = scene.day().spent().await;
        assert_eq!((spent.used, spent.reserved), expected, "{step}");
    }
    scene.database.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_gives_a_tenant_a_budget_streams_and_a_model() {
    let app = TestApp::start_with(&[("LLM_MODELS", "small,large")]).await;
    let operator = app.user("platform", "olga", Role::Operator);
    let limits = json!({ "daily_tokens": 5_000, "user_streams": 2, "tenant_streams": 7 });
    let chat = json!({ "model": "small", "max_output_tokens": 200, "max_tokens": 900, "max_cents": 1 });
    let put = json!({ "limits": limits, "chat": chat });
    let shown = operator.put("/tenants/acme", put).await.expect(200).body;
    assert_eq!(shown, operator.get("/tenants/acme").await.expect(200).body);
    assert_eq!((&shown["limits"]["daily_tokens"], &shown["limits"]["user_streams"]), (&json!(5_000), &json!(2)));
    assert_eq!((&shown["limits"]["tenant_streams"], &shown["chat"]), (&json!(7), &chat));
    let entry = &app.user("acme", "olga", Role::Owner).get("/audit").await.expect(200).body["data"][0];
    assert_eq!((&entry["detail"]["chat"], &entry["detail"]["limits"]), (&chat, &limits), "{entry}");

    for (field, wrong) in [
        ("/limits/daily_tokens", json!({ "limits": { "daily_tokens": 0 } })),
        ("/limits/user_streams", json!({ "limits": { "user_streams": 1_001 } })),
        ("/limits/tenant_streams", json!({ "limits": { "tenant_streams": 0 } })),
        ("/chat/model", json!({ "chat": { "model": "medium" } })),
        ("/chat/max_output_tokens", json!({ "chat": { "max_output_tokens": 0 } })),
        ("/chat/max_cents", json!({ "chat": { "max_cents": "1" } })),
        ("/chat/tools", json!({ "chat": { "tools": [] } })),
        ("/chat", json!({ "chat": ["small"] })),
    ] {
        let answer = operator.put("/tenants/acme", wrong).await.expect(400);
        assert_eq!(answer.body["errors"][0]["pointer"], field, "{}", answer.body);
    }
    assert_eq!(operator.get("/tenants/acme").await.expect(200).body["chat"], chat);
    let usage = app.user("acme", "olga", Role::Owner).get("/usage").await.expect(200).body;
    assert_eq!(usage["daily_tokens"], json!({ "quota": 5_000, "used": 0, "reserved": 0, "remaining": 5_000 }));
    operator.put("/tenants/acme", json!({})).await.expect(200);
    assert_eq!(operator.get("/tenants/acme").await.expect(200).body["chat"], json!({}));
    app.stop().await;
}
