//! The limits hold to the request, whoever counts and however many ask at once.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use shared::door::Policy;
use shared::tenancy::Role;
use tests::{Answer, Instance, RedisProcess, TestApp, User};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const INSTANCE: &str = env!("CARGO_BIN_EXE_instance");
/// The very script of the door, with what it leaves behind: the milliseconds until each bucket expires. Then the buckets
/// are made to stay, since they expire on the server's clock and not on that of the test.
const TAKE: &str = concat!(
    "local function take()\n",
    include_str!("../../shared/src/door/bucket.lua"),
    include_str!("../../shared/src/door/take.lua"),
    "end\n",
    "local reply = take()\n",
    "for _, key in ipairs(KEYS) do\n",
    "  reply[#reply + 1] = redis.call('PTTL', key)\n",
    "  redis.call('PERSIST', key)\n",
    "end\n",
    "return reply",
);
/// A clock of the test begins here, in microseconds: numbers are as large as those of a real one.
const BEGINNING: u64 = 1_790_000_000_000_000;
/// How long clients ask as fast as they can.
const RUSH: Duration = Duration::from_secs(10);
/// How many of them there are.
const CLIENTS: usize = 64;

/// A Redis of the test's own, asked in turn.
struct Server {
    connection: redis::Connection,
    _process: RedisProcess,
    /// Last, since the process is ended by it.
    _runtime: Runtime,
}

/// What the script says of one bucket; all in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    /// The time to fill it.
    fill: i64,
    /// How far it lacks tokens; 0 or less if it had them.
    over: i64,
}

impl Server {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let process = runtime.block_on(RedisProcess::start());
        let connection = redis::Client::open(process.url()).unwrap().get_connection().unwrap();
        Self { connection, _process: process, _runtime: runtime }
    }

    /// Takes tokens from buckets, each by its key. No bucket may expire before it is full.
    fn take(&mut self, buckets: &[(String, Policy)], now: u64, cost: i64) -> Vec<Said> {
        let mut command = redis::cmd("EVAL");
        command.arg(TAKE).arg(buckets.len());
        for (key, _) in buckets {
            command.arg(key);
        }
        command.arg(now).arg(cost);
        for (_, policy) in buckets {
            command.arg(policy.interval()).arg(policy.burst());
        }
        let reply: Vec<i64> = command.query(&mut self.connection).unwrap();
        let (pairs, expiries) = reply.split_at(2 * buckets.len());
        let said: Vec<_> = pairs.as_chunks::<2>().0.iter().map(|&[fill, over]| Said { fill, over }).collect();
        let taken = said.iter().all(|said| said.over <= 0);
        for (said, expiry) in said.iter().zip(expiries).filter(|_| taken) {
            match said.fill {
                0 => assert_eq!(*expiry, -2, "a full bucket needs no key"),
                fill => assert!(expiry * 1_000 >= fill, "it expires after {expiry} ms: {said:?}"),
            }
        }
        said
    }

    /// Takes all the tokens there are.
    fn drain(&mut self, bucket: &[(String, Policy)], now: u64) {
        let (interval, burst) = (bucket[0].1.interval().cast_signed(), bucket[0].1.burst().cast_signed());
        // A bucket that is not full has less, and says how much.
        let lacking = self.take(bucket, now, burst)[0].over.max(0);
        let left = (burst * interval - lacking) / interval;
        if lacking > 0 && left > 0 {
            assert!(self.take(bucket, now, left)[0].over <= 0);
        }
        assert!(self.take(bucket, now, 1)[0].over > 0);
    }
}

/// The bucket of the textbook: tokens, in fractions of `1 / interval`, to which a fraction is added each microsecond.
struct Reference {
    interval: i128,
    burst: i128,
    tokens: i128,
    counted: u64,
}

impl Reference {
    fn new(policy: Policy) -> Self {
        let (interval, burst) = (i128::from(policy.interval()), i128::from(policy.burst()));
        Self { interval, burst, tokens: burst * interval, counted: BEGINNING }
    }

    fn wanted(&self, cost: i64) -> i128 {
        i128::from(cost).min(self.burst) * self.interval
    }

    /// Takes from all buckets or from none.
    fn take(buckets: &mut [Self], now: u64, cost: i64) -> Vec<Said> {
        for bucket in &mut *buckets {
            let added = i128::from(now - bucket.counted);
            bucket.tokens = (bucket.tokens + added).min(bucket.burst * bucket.interval);
            bucket.counted = now;
        }
        let over: Vec<_> = buckets.iter().map(|bucket| bucket.wanted(cost) - bucket.tokens).collect();
        if over.iter().all(|over| *over <= 0) {
            for bucket in &mut *buckets {
                bucket.tokens = (bucket.tokens - bucket.wanted(cost)).min(bucket.burst * bucket.interval);
            }
        }
        let fill = buckets.iter().map(|bucket| bucket.burst * bucket.interval - bucket.tokens);
        let number = |number| i64::try_from(number).unwrap();
        fill.zip(over).map(|(fill, over)| Said { fill: number(fill), over: number(over) }).collect()
    }
}

fn policy() -> impl Strategy<Value = Policy> {
    // Small buckets are emptied, large ones make large numbers.
    (prop_oneof![1_u32..40, 1_u32..5_000_000], 1_u64..7_200)
        .prop_map(|(quota, seconds)| Policy { quota, window: Duration::from_secs(seconds) })
}

/// One request of a case: a share of the first bucket's window that passes before, its tokens in thousandths of the
/// first bucket's, and whether it is tried again when there is said to be enough.
type Step = (u64, i64, bool);

fn step() -> impl Strategy<Value = Step> {
    // Most come while the bucket is not full.
    let pause = prop_oneof![4 => 0_u64..30, 1 => 0_u64..1_500];
    let cost = prop_oneof![6 => 0_i64..300, 2 => 300_i64..2_500, 1 => -300_i64..0];
    (pause, cost, any::<bool>())
}

fn run<S: Strategy>(cases: u32, strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: fmt::Debug,
{
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(strategy, test).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_script_decides_as_the_textbooks_bucket_does() {
    let server = RefCell::new(Server::start());
    let (case, requests, denied) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let count = |number: &Cell<u32>| number.set(number.get() + 1);
    run(100, &(vec(policy(), 1..=2), vec(step(), 1..60)), |(policies, steps)| {
        count(&case);
        let mut server = server.borrow_mut();
        let keys = |name| format!("{{case {}}}:{name}", case.get());
        let buckets: Vec<_> = policies.iter().enumerate().map(|(name, policy)| (keys(name), *policy)).collect();
        let mut reference: Vec<_> = policies.iter().map(|policy| Reference::new(*policy)).collect();
        let mut now = BEGINNING;
        for (pause, share, again) in steps {
            let window = u64::try_from(policies[0].window.as_micros()).unwrap();
            now += window * pause / 1_000;
            let burst = i64::try_from(policies[0].burst()).unwrap();
            let cost = if share > 0 { (burst * share / 1_000).max(1) } else { burst * share / 1_000 };
            let said = server.take(&buckets, now, cost);
            prop_assert_eq!(&said, &Reference::take(&mut reference, now, cost));
            count(&requests);
            let lacking = said.iter().map(|said| said.over).max().unwrap();
            if lacking > 0 {
                count(&denied);
                let until = now + u64::try_from(lacking).unwrap();
                let early = server.take(&buckets, until - 1, cost);
                prop_assert!(early.iter().any(|said| said.over > 0), "a microsecond before is too early: {:?}", early);
                if again {
                    now = until;
                    let said = server.take(&buckets, now, cost);
                    prop_assert!(said.iter().all(|said| said.over <= 0), "it is time: {:?}", said);
                    prop_assert_eq!(&said, &Reference::take(&mut reference, now, cost));
                }
            }
        }
        Ok(())
    });
    println!("{} requests in {} cases, {} of them denied", requests.get(), case.get(), denied.get());
    assert!(denied.get() > 300 && requests.get() > denied.get() + 300, "the cases try both");
}

#[test]
fn tokens_given_back_are_there_again_and_never_more_than_the_bucket_holds() {
    let mut server = Server::start();
    let policy = Policy { quota: 10, window: Duration::from_secs(10) };
    let bucket = [("bucket".to_owned(), policy)];
    assert_eq!(server.take(&bucket, BEGINNING, 4)[0], Said { fill: 4_000_000, over: -6_000_000 });
    assert_eq!(server.take(&bucket, BEGINNING, -1)[0].fill, 3_000_000);
    assert_eq!(server.take(&bucket, BEGINNING, 7)[0].fill, 10_000_000);
    assert_eq!(server.take(&bucket, BEGINNING, 1)[0], Said { fill: 10_000_000, over: 1_000_000 });
    assert_eq!(server.take(&bucket, BEGINNING, -1)[0].fill, 9_000_000, "an empty one takes them too");
    assert_eq!(server.take(&bucket, BEGINNING, 1)[0].over, 0);
    assert_eq!(server.take(&bucket, BEGINNING, -1_000)[0].fill, 0, "no more than it holds");
    assert_eq!(server.take(&bucket, BEGINNING, 11)[0].fill, 10_000_000, "and no request costs more than that");
    assert!(server.take(&bucket, BEGINNING, 1)[0].over > 0);

    let two = [bucket[0].clone(), ("another".to_owned(), policy)];
    server.take(&two[1..], BEGINNING, 3);
    let fills: Vec<_> = server.take(&two, BEGINNING, -2).iter().map(|said| said.fill).collect();
    assert_eq!(fills, [8_000_000, 1_000_000]);
}

/// Takes a token at once or, if there is none, at the time that is said. It must not be later than one interval from now.
fn let_in_within_an_interval(server: &mut Server, bucket: &[(String, Policy)], now: u64) -> Result<(), TestCaseError> {
    let interval = bucket[0].1.interval();
    let over = server.take(bucket, now, 1)[0].over;
    prop_assert!(over <= interval.cast_signed(), "{} of {}", over, interval);
    if over > 0 {
        let said = server.take(bucket, now + over.unsigned_abs(), 1)[0];
        prop_assert!(said.over <= 0, "after the {} it said: {:?}", over, said);
    }
    Ok(())
}

#[test]
fn after_a_change_of_plan_nobody_waits_longer_than_the_new_interval() {
    let server = RefCell::new(Server::start());
    let case = Cell::new(0);
    run(60, &(policy(), policy(), 0_u64..7_200_000_000), |(before, after, later)| {
        case.set(case.get() + 1);
        let mut server = server.borrow_mut();
        let bucket = |policy| [(format!("case {}", case.get()), policy)];
        server.drain(&bucket(before), BEGINNING);
        let_in_within_an_interval(&mut server, &bucket(after), BEGINNING + later)
    });
}

#[test]
fn a_clock_that_jumps_back_blocks_nobody_for_longer_than_an_interval() {
    let server = RefCell::new(Server::start());
    let case = Cell::new(0);
    let jumps = vec((0_u64..90_000_000_000, 0_u64..90_000_000_000), 1..10);
    run(40, &(policy(), jumps), |(policy, jumps)| {
        case.set(case.get() + 1);
        let mut server = server.borrow_mut();
        let bucket = [(format!("case {}", case.get()), policy)];
        for (forth, back) in jumps {
            server.drain(&bucket, BEGINNING + forth);
            let_in_within_an_interval(&mut server, &bucket, BEGINNING + forth.saturating_sub(back))?;
        }
        Ok(())
    });
}

/// Four processes over one Redis and one database with these limits, asked by many clients at once: how many were let
/// in, and how long it took. Each client is the user that `name` says.
async fn rush(limits: &[(&str, &str)], name: fn(usize) -> String) -> (u32, Duration) {
    // A machine that is busy with other tests is slow at times; a process that takes the cache for gone would grant a
    // share by itself, which is not what this is about.
    let patient = [("REDIS_TIMEOUT_MS", "10000"), ("REDIS_CONNECT_TIMEOUT_MS", "10000"), ("DOOR_TRUST_MS", "10000")];
    let limits = [limits, &patient].concat();
    let app = Arc::new(TestApp::start_with(&limits).await);
    let mut variables = vec![("REDIS_URL", app.redis_url()), ("DYNAMODB_ENDPOINT", app.dynamodb_endpoint())];
    variables.extend(limits);
    let mut instances = Vec::new();
    for _ in 0..4 {
        instances.push(Instance::start(INSTANCE, app.folder(), &variables).await);
    }
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (app, url) = (Arc::clone(&app), instances[client % instances.len()].url().to_owned());
        clients.spawn(async move {
            let user = app.user("acme", &name(client), Role::Viewer).at(&url);
            let (mut granted, mut denied) = (0, 0);
            while started.elapsed() < RUSH {
                let answer = user.get("/users/me").await;
                match answer.status.as_u16() {
                    200 => granted += 1,
                    429 => denied += 1,
                    other => panic!("{other}: {}", answer.body),
                }
                assert_ne!(answer.headers.get("cache-status").map_or("", cache_status), "fwd=bypass");
            }
            (granted, denied)
        });
    }
    let counts = clients.join_all().await;
    let elapsed = started.elapsed();
    let (granted, denied) = counts.iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    println!("granted {granted}, denied {denied} in {elapsed:?}");
    drop(instances);
    Arc::into_inner(app).expect("the clients are done").stop().await;
    (granted, elapsed)
}

fn cache_status(value: &reqwest::header::HeaderValue) -> &str {
    value.to_str().unwrap().split("; ").nth(1).unwrap_or_default()
}

/// What was granted must be what the limit allows, and no more.
fn assert_exact((granted, elapsed): (u32, Duration), burst: u32, per_second: f64) {
    let allowed = f64::from(burst) + per_second * elapsed.as_secs_f64();
    println!("granted {granted}, allowed {allowed:.2}, {:+.2}", f64::from(granted) - allowed);
    assert!(f64::from(granted) <= allowed, "{granted} were granted, {allowed} allowed");
    // Denials are repeated from memory for a moment, so that a token may lie unused for as long.
    assert!(f64::from(granted) >= allowed * 0.99 - 1.0, "{granted} were granted of {allowed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_users_in_many_processes_get_what_their_tenant_may_and_no_more() {
    let limits = [("LIMIT_TENANT_PER_HOUR", "1800")];
    assert_exact(rush(&limits, |client| format!("user-{client}")).await, 1_800, 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_in_many_processes_gets_what_a_user_may_and_no_more() {
    let limits = [("LIMIT_USER_PER_MINUTE", "600")];
    assert_exact(rush(&limits, |_| "ada".to_owned()).await, 600, 10.0);
}

fn retry_after(answer: &Answer) -> u64 {
    answer.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

/// The seconds until there is more, of each bucket in `RateLimit`.
fn resets(answer: &Answer) -> Vec<u64> {
    let value = answer.headers["ratelimit"].to_str().unwrap();
    value.split(";t=").skip(1).map(|rest| rest.split(',').next().unwrap().parse().unwrap()).collect()
}

/// The first answer that is a denial.
async fn denied(user: &User<'_>) -> Answer {
    loop {
        let answer = user.get("/users/me").await;
        if answer.status == 429 {
            return answer;
        }
        answer.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_as_long_as_retry_after_says_is_let_in() {
    // A token of the user each 1.2 seconds, one of the tenant each 3.6.
    let app = TestApp::start_with(&[("LIMIT_USER_PER_MINUTE", "50"), ("LIMIT_TENANT_PER_HOUR", "1000")]).await;
    let ada = app.ada();
    let mut said = Vec::new();
    for round in 0..6 {
        let mut answer = denied(&ada).await;
        if round > 0 {
            // That one was asked for, this one is remembered.
            tokio::time::sleep(Duration::from_millis(150) * round).await;
            answer = denied(&ada).await;
        }
        let seconds = retry_after(&answer);
        assert!((1..=2).contains(&seconds), "{seconds}");
        let resets = resets(&answer);
        said.push((seconds, resets.clone()));
        assert!(!resets.is_empty() && resets.iter().all(|reset| *reset <= seconds), "{said:?}");
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        ada.get("/users/me").await.expect(200);
    }
    println!("retry after, and the resets of the buckets: {said:?}");
    app.stop().await;
}
