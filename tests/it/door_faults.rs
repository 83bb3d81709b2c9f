//! The cache is killed, frozen, silent or lost in part; requests go on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{Answer, Instance, Proxy, RedisCluster, RedisProcess, TestApp, User};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::flow::DUCKS;

const INSTANCE: &str = env!("CARGO_BIN_EXE_instance");
/// How soon the cache must be used again after it came back.
const BACK: Duration = Duration::from_secs(2);
/// How long the epochs are trusted, and so the longest that a write waits for a cache that stalls (`DOOR_TRUST_MS`).
const TRUST: Duration = Duration::from_secs(2);
/// An answer that comes later than the usual 50 ms counts, where no test of times is meant: the machine may have other
/// work.
const PATIENT: (&str, &str) = ("REDIS_TIMEOUT_MS", "250");
/// The longest that the first request after a silence may take.
const AT_ONCE: Duration = Duration::from_millis(300);

/// What the cache had to do with an answer.
fn cache(answer: &Answer) -> &str {
    answer.header("cache-status")
}

/// Whether the answer came out of the cache or went into it.
fn is_normal(cache: &str) -> bool {
    cache.starts_with("ragline; hit") || cache.ends_with("; stored")
}

fn is_bypass(cache: &str) -> bool {
    cache.contains("bypass")
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let started = Instant::now();
    (work.await, started.elapsed())
}

async fn find(user: &User<'_>, query: &str) -> Answer {
    user.post("/search", json!({ "query": query })).await
}

async fn rename(user: &User<'_>, id: &str, filename: &str) -> Answer {
    user.call(Method::PATCH, &format!("/documents/{id}"), &json!({ "filename": filename })).await
}

fn id_of(document: &Value) -> String {
    document["id"].as_str().unwrap().to_owned()
}

/// Asks until the answer comes out of the cache. What the stream of the table tells of a change that is past makes an
/// answer stale once more, so it need not be the second.
async fn hit(ask: impl AsyncFn() -> Answer) -> Answer {
    let started = Instant::now();
    loop {
        let answer = ask().await.expect(200);
        if cache(&answer).starts_with("ragline; hit") {
            return answer;
        }
        assert!(started.elapsed() < BACK, "still {}", cache(&answer));
    }
}

/// Waits until a tenant's answers are cached, which must be soon, and says how long it took.
async fn back_to_normal(app: &TestApp, tenant: &str, path: &str) -> Duration {
    let started = Instant::now();
    for number in 0.. {
        // Each has a bucket of its own.
        let answer = app.user(tenant, &format!("user-{number}"), Role::Editor).get(path).await.expect(200);
        if is_normal(cache(&answer)) {
            break;
        }
        assert!(started.elapsed() < BACK, "still {}", cache(&answer));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}

/// A request of a load and what became of it.
#[derive(Debug)]
struct Sample {
    is_read: bool,
    /// When it was due.
    due: Instant,
    /// How long after that it was answered.
    took: Duration,
    status: u16,
    cache: String,
}

/// So many requests at a steady pace, whether or not those before them are answered: of 20, 17 ask for documents, 2
/// search and 1 renames a document. Whoever renamed one must see a name that is no older than the one given.
async fn load(app: &Arc<TestApp>, documents: &[String], pace: Duration, count: usize) -> Vec<Sample> {
    // Of two renames at the same time either may be the last: on a machine that is held up, requests come in bursts.
    let renaming: Vec<Arc<Mutex<()>>> = documents.iter().map(|_| Arc::default()).collect();
    let mut ticks = tokio::time::interval(pace);
    let mut requests = JoinSet::new();
    for number in 0..count {
        let due = ticks.tick().await.into_std();
        let (app, document) = (Arc::clone(app), documents[number % documents.len()].clone());
        let renaming = Arc::clone(&renaming[number % documents.len()]);
        requests.spawn(async move {
            let ada = app.ada();
            let is_read = number % 20 != 0;
            let _alone = if is_read { None } else { Some(renaming.lock().await) };
            let path = format!("/documents/{document}");
            let answer = match number % 20 {
                0 => rename(&ada, &document, &format!("{number}.md")).await,
                5 | 15 => find(&ada, ["what do ducks eat?", "how fast is a mallard?"][number / 10 % 2]).await,
                even if even % 2 == 0 => ada.get("/documents").await,
                _ => ada.get(&path).await,
            };
            let (took, status) = (due.elapsed(), answer.status.as_u16());
            if !is_read {
                let document = ada.get(&path).await.expect(200).body;
                let seen: Option<usize> = document["filename"].as_str().unwrap().trim_end_matches(".md").parse().ok();
                assert!(seen >= Some(number), "renamed to {number}.md and still {}", document["filename"]);
            }
            Sample { is_read, due, took, status, cache: cache(&answer).to_owned() }
        });
    }
    requests.join_all().await
}

/// An installation over a Redis that the test holds, with documents to read.
async fn loaded(redis: &RedisProcess) -> (Arc<TestApp>, Vec<String>) {
    let app = TestApp::start_with(&[("REDIS_URL", &redis.url())]).await;
    let mut documents = Vec::new();
    for number in 0..7 {
        documents.push(id_of(&app.ada().ready("ducks.md", format!("{DUCKS}\n{number}\n")).await));
    }
    (Arc::new(app), documents)
}

async fn stop(app: Arc<TestApp>) {
    Arc::into_inner(app).unwrap().stop().await;
}

/// The latency that 99 of 100 do not exceed.
fn p99<'a>(samples: impl Iterator<Item = &'a Sample>) -> Duration {
    let mut all: Vec<_> = samples.map(|sample| sample.took).collect();
    all.sort_unstable();
    all[(all.len() * 99).div_ceil(100) - 1]
}

/// No request failed, and the cache was used soon after its return, and from then on.
fn assert_unharmed(samples: &[Sample], returned: Instant) {
    for sample in samples {
        assert_eq!(sample.status, 200, "{sample:?}");
    }
    let used = samples.iter().filter(|s| s.is_read && s.due >= returned && is_normal(&s.cache));
    let used = used.map(|sample| sample.due + sample.took - returned).min().unwrap();
    println!("the cache was used {used:?} after its return");
    assert!(used < BACK);
    let since: Vec<_> = samples.iter().filter(|s| s.is_read && s.due >= returned + BACK).collect();
    let bypassed = since.iter().filter(|sample| is_bypass(&sample.cache)).count();
    println!("later {bypassed} of {} reads went without it", since.len());
    // A machine with other work may hold up an answer for longer than the cache is waited for.
    assert!(!since.is_empty() && bypassed * 2 < since.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_under_load_fails_no_request_and_holds_up_few() {
    let mut redis = RedisProcess::start().await;
    let (app, documents) = loaded(&redis).await;
    // The machine may have other work, and then all is slow: what counts is that losing Redis makes it no worse. Another
    // try is for times only.
    for _ in 0..3 {
        let faults = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let killed = Instant::now();
            redis.kill().await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            redis.restart().await;
            (killed, Instant::now())
        };
        let requests = load(&app, &documents, Duration::from_millis(10), 1_000);
        let (samples, (killed, returned)) = tokio::join!(requests, faults);
        assert_unharmed(&samples, returned);
        let away = samples.iter().filter(|s| s.is_read && s.due > killed && s.due + s.took < returned);
        assert!(away.filter(|sample| is_bypass(&sample.cache)).count() > 100, "Redis was away");

        let (all, before) = (p99(samples.iter()), p99(samples.iter().filter(|sample| sample.due < killed)));
        let slowest = samples.iter().map(|sample| sample.took).max();
        println!("p99 {all:?}, before the kill {before:?}; slowest {slowest:?}");
        if all < Duration::from_millis(150).max(before * 3) {
            return stop(app).await;
        }
    }
    panic!("each time it held up too many");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_paused_for_a_second_fails_no_request_and_no_write_is_unseen() {
    let redis = RedisProcess::start().await;
    let (app, documents) = loaded(&redis).await;
    let faults = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        redis.pause();
        tokio::time::sleep(Duration::from_secs(1)).await;
        redis.resume();
        Instant::now()
    };
    let (samples, returned) = tokio::join!(load(&app, &documents, Duration::from_millis(40), 150), faults);
    assert_unharmed(&samples, returned);
    assert!(samples.iter().any(|sample| is_bypass(&sample.cache)), "Redis was paused");
    let slowest = |is_read| samples.iter().filter(|s| s.is_read == is_read).map(|s| s.took).max().unwrap();
    println!("slowest read {:?}, slowest write {:?}", slowest(true), slowest(false));
    assert!(slowest(true) < Duration::from_secs(1));
    // A write waits until nobody trusts what Redis knew before.
    assert!(slowest(false) < TRUST + Duration::from_secs(1));
    stop(app).await;
}

/// The quota of the user in `RateLimit-Policy`.
fn quota(answer: &Answer) -> u32 {
    let policies = answer.header("ratelimit-policy");
    let (_, rest) = policies.split_once("\"user\";q=").unwrap();
    rest.split(';').next().unwrap().parse().unwrap()
}

/// So many requests at once. Returns how many were let in; the others must be refused as is due.
async fn let_in(app: &Arc<TestApp>, user: &'static str, chat: bool, count: usize, expected_quota: u32) -> usize {
    let mut requests = JoinSet::new();
    for _ in 0..count {
        let app = Arc::clone(app);
        requests.spawn(async move {
            let user = app.user("acme", user, Role::Editor);
            if chat {
                user.post("/chat", json!({ "message": "What do ducks eat?", "stream": false })).await
            } else {
                user.get("/documents").await
            }
        });
    }
    let answers = requests.join_all().await;
    for answer in &answers {
        assert_eq!(quota(answer), expected_quota);
        if answer.status != 200 {
            assert_eq!(answer.status, 429, "{}", answer.body);
            assert_eq!(answer.body["violated-policies"], json!(["user"]));
            let wait: u32 = answer.header("retry-after").parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
        }
    }
    answers.iter().filter(|answer| answer.status == 200).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_process_grants_its_share_of_the_limits_and_less_of_what_spends() {
    let mut redis = RedisProcess::start().await;
    let url = redis.url();
    let variables = [
        ("REDIS_URL", &*url),
        ("LIMIT_USER_PER_MINUTE", "40"),
        ("DOOR_FALLBACK_SHARE", "0.25"),
        ("DOOR_FALLBACK_SHARE_SPENDING", "0.1"),
        PATIENT,
    ];
    let app = Arc::new(TestApp::start_with(&variables).await);
    assert_eq!(quota(&app.ada().get("/documents").await.expect(200)), 40);
    redis.kill().await;

    for (user, chat, share) in [("ada", false, 10), ("bob", true, 4)] {
        let started = Instant::now();
        let granted = let_in(&app, user, chat, 60, share).await;
        // The bucket is filled once in a minute.
        let refilled = started.elapsed().as_millis() as usize * share as usize / 60_000;
        println!("{granted} of 60 let in within {:?}", started.elapsed());
        assert!((share as usize..=share as usize + refilled).contains(&granted), "{granted} of {share}");
    }

    redis.restart().await;
    println!("normal {:?} after the return", back_to_normal(&app, "acme", "/documents").await);
    // Ada's refusal may be remembered for a moment more.
    let eve = app.user("acme", "eve", Role::Editor);
    assert_eq!(quota(&eve.get("/documents").await.expect(200)), 40);
    stop(app).await;
}

/// A cluster of one node that sends its clients to the proxy in front of it. ElastiCache Serverless is such a one.
async fn cluster_behind_a_proxy() -> (RedisProcess, Proxy) {
    let redis = RedisProcess::start_with(&["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"]).await;
    let proxy = Proxy::start(&redis.url()).await;
    let port = proxy.url().rsplit(':').next().unwrap().to_owned();
    redis.command::<()>(&["CONFIG", "SET", "cluster-announce-ip", "127.0.0.1", "cluster-announce-port", &port]).await;
    redis.command::<()>(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    while !redis.command::<String>(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (redis, proxy)
}

/// An instance behind a proxy to a Redis that has the answers to come.
async fn warmed(app: &TestApp, proxy: &Proxy, cluster: &str, id: &str) -> Instance {
    let variables =
        [("REDIS_URL", &*proxy.url()), ("REDIS_CLUSTER", cluster), ("DYNAMODB_ENDPOINT", app.dynamodb_endpoint())];
    let instance = Instance::start(INSTANCE, app.folder(), &variables).await;
    let ada = app.ada().at(instance.url());
    hit(async || ada.get(&format!("/documents/{id}")).await).await;
    hit(async || find(&ada, "what do ducks eat?").await).await;
    instance
}

/// What is asked after a silence must be answered at once and with the help of the cache. It gets another try where a
/// machine with other work held it up, but it may never fail.
async fn at_once(what: &str, proxy: &Proxy, silence: impl AsyncFn(), ask: impl AsyncFn() -> Answer) -> Answer {
    for _ in 0..3 {
        silence().await;
        let before = proxy.connections();
        let (answer, took) = timed(ask()).await;
        println!("{what}: {took:?}, {}", cache(&answer));
        let answer = answer.expect(200);
        if took < AT_ONCE && !is_bypass(cache(&answer)) {
            assert!(proxy.connections() > before, "{what} came over a connection that is dead");
            return answer;
        }
    }
    panic!("{what} was held up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_frozen_for_a_minute_succeeds_at_once() {
    let app = TestApp::start().await;
    let id = id_of(&app.ada().ready("ducks.md", DUCKS).await);
    let (_cluster, to_cluster) = cluster_behind_a_proxy().await;
    let (to_one, to_two) = (Proxy::start(app.redis_url()).await, Proxy::start(app.redis_url()).await);
    let frozen = async |what: &str, proxy: &Proxy, cluster: &str| {
        let instance = warmed(&app, proxy, cluster, &id).await;
        let ada = app.ada().at(instance.url());
        let silence = async || {
            instance.stop();
            proxy.blackhole_existing();
            tokio::time::sleep(Duration::from_mins(1)).await;
            instance.resume();
        };
        let ask = async || match what {
            "a search" => find(&ada, "how fast is a mallard?").await,
            _ => ada.get(&format!("/documents/{id}")).await,
        };
        at_once(what, proxy, silence, ask).await;
    };
    tokio::join!(
        frozen("a read", &to_one, "false"),
        frozen("a search", &to_two, "false"),
        frozen("a read with a cluster", &to_cluster, "true"),
    );
    app.stop().await;
}

async fn silence_holds_up_nothing(app: &TestApp, proxy: &Proxy, cluster: &str) {
    let id = id_of(&app.ada().ready("ducks.md", DUCKS).await);
    let instance = warmed(app, proxy, cluster, &id).await;
    let (ada, path) = (app.ada().at(instance.url()), format!("/documents/{id}"));
    let silence = async || {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        proxy.blackhole_existing();
    };
    at_once("a read", proxy, silence, async || ada.get(&path).await).await;
    at_once("a search", proxy, silence, async || find(&ada, "how fast is a mallard?").await).await;
    // It would wait for seconds if it could not tell the cache.
    at_once("a write", proxy, silence, async || rename(&ada, &id, "mallards.md").await).await;
    assert_eq!(ada.get(&path).await.expect(200).body["filename"], "mallards.md");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_died_in_silence_holds_up_no_request() {
    let app = TestApp::start().await;
    let proxy = Proxy::start(app.redis_url()).await;
    silence_holds_up_nothing(&app, &proxy, "false").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_a_cluster_that_died_in_silence_holds_up_no_request() {
    let app = TestApp::start().await;
    let (_redis, proxy) = cluster_behind_a_proxy().await;
    silence_holds_up_nothing(&app, &proxy, "true").await;
    app.stop().await;
}

/// Tenants by the node that their keys lie on.
async fn tenants_by_node(cluster: &RedisCluster, of_each: usize) -> Vec<Vec<String>> {
    let nodes = cluster.nodes();
    let mut tenants = vec![Vec::new(); nodes.len()];
    for number in 0.. {
        let tenant = format!("tenant-{number}");
        let slot: usize = nodes[0].command(&["CLUSTER", "KEYSLOT", &format!("{{{tenant}}}:epochs")]).await;
        // The nodes share the slots evenly and in their order.
        let of_node = &mut tenants[slot * nodes.len() / 16_384];
        if of_node.len() < of_each {
            of_node.push(tenant);
        }
        if tenants.iter().all(|tenants| tenants.len() == of_each) {
            break;
        }
    }
    tenants
}

/// How often a node answered with this error.
async fn errors(node: &RedisProcess, name: &str) -> usize {
    let statistics: String = node.command(&["INFO", "errorstats"]).await;
    let count = statistics.lines().find_map(|line| line.strip_prefix(&format!("errorstat_{name}:count=")));
    count.map_or(0, |count| count.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_all_is_as_on_one_server_and_the_loss_of_a_node_fails_no_request() {
    let mut cluster = RedisCluster::start().await;
    let url = cluster.url();
    let app = TestApp::start_with(&[("REDIS_URL", &*url), ("REDIS_CLUSTER", "true"), PATIENT]).await;
    let tenants = tenants_by_node(&cluster, 2).await;
    let editor = |tenant: &str| app.user(tenant, "ada", Role::Editor);
    let mut paths = Vec::new();
    for tenant in tenants.iter().flatten() {
        let (ada, bob) = (editor(tenant), app.user(tenant, "bob", Role::Editor));
        let path = format!("/documents/{}", id_of(&ada.ready("ducks.md", DUCKS).await));
        for user in [&ada, &bob] {
            hit(async || user.get(&path).await).await;
            let found = hit(async || find(user, "what do ducks eat?").await).await;
            assert_eq!(found.body["data"][0]["filename"], "ducks.md");
        }
        rename(&ada, path.strip_prefix("/documents/").unwrap(), "mallards.md").await.expect(200);
        assert_eq!(bob.get(&path).await.expect(200).body["filename"], "mallards.md");
        assert_eq!(find(&bob, "what do ducks eat?").await.body["data"][0]["filename"], "mallards.md");
        paths.push(path);
    }

    for (node, tenants) in cluster.nodes().iter().zip(&tenants) {
        for tenant in tenants {
            let keys: Vec<String> = node.command(&["KEYS", &format!("{{{tenant}}}*")]).await;
            assert!(keys.contains(&format!("{{{tenant}}}:epochs")), "{keys:?}");
        }
    }
    let operator = app.user("platform", "olga", Role::Operator);
    for tenants in &tenants {
        let limits = json!({ "limits": { "user_per_minute": 3 } });
        operator.call(Method::PUT, &format!("/tenants/{}", tenants[0]), &limits).await.expect(200);
        let carl = app.user(&tenants[0], "carl", Role::Viewer);
        for status in [200, 200, 200, 429] {
            carl.get("/documents").await.expect(status);
        }
        app.user(&tenants[0], "dora", Role::Viewer).get("/documents").await.expect(200);
        operator.call(Method::PUT, &format!("/tenants/{}", tenants[0]), &json!({})).await.expect(200);
    }
    for (number, node) in cluster.nodes().iter().enumerate() {
        let (crossed, moved) = (errors(node, "CROSSSLOT").await, errors(node, "MOVED").await);
        println!("node {number}: {crossed} CROSSSLOT, {moved} MOVED");
        assert_eq!(crossed, 0);
        // Only a client that does not know yet who has which slots.
        assert!(moved <= 3);
    }

    cluster.nodes_mut()[1].kill().await;
    let (mut slowest, mut bypassed, mut on_others) = (Duration::ZERO, 0, 0);
    let started = Instant::now();
    for _ in 0..20 {
        for (tenant, path) in tenants.iter().flatten().zip(&paths) {
            let (answer, took) = timed(editor(tenant).get(path)).await;
            let answer = answer.expect(200);
            slowest = slowest.max(took);
            if tenants[1].contains(tenant) {
                assert!(is_bypass(cache(&answer)), "its node is away: {}", cache(&answer));
            } else {
                on_others += 1;
                bypassed += usize::from(is_bypass(cache(&answer)));
            }
        }
    }
    println!(
        "without a node: slowest {slowest:?}, of {on_others} requests of tenants on other nodes {bypassed} without the \
         cache, in {:?}",
        started.elapsed()
    );
    assert!(slowest < Duration::from_secs(1));
    let (answer, took) =
        timed(rename(&editor(&tenants[1][0]), paths[2].strip_prefix("/documents/").unwrap(), "x.md")).await;
    answer.expect(200);
    println!("a write whose node is away: {took:?}");
    assert!(took < TRUST + Duration::from_secs(1));
    assert_eq!(editor(&tenants[1][0]).get(&paths[2]).await.expect(200).body["filename"], "x.md");

    cluster.nodes_mut()[1].restart().await;
    cluster.agreed().await;
    for (tenant, path) in tenants.iter().flatten().zip(&paths) {
        println!("{tenant} is normal {:?} after the return", back_to_normal(&app, tenant, path).await);
    }
    assert_eq!(editor(&tenants[1][0]).get(&paths[2]).await.expect(200).body["filename"], "x.md");
    app.stop().await;
}

/// In how many of the seconds since then a token was signed.
fn seconds_of_signing(proxy: &Proxy, since: OffsetDateTime) -> usize {
    // From the start of the second, or the last one would be left out.
    let (mut seconds, mut second) = (0, since.replace_nanosecond(0).unwrap());
    while second <= OffsetDateTime::now_utc() {
        let (date, time) = (second.date(), second.time());
        let stamp = format!(
            "X-Amz-Date={}{:02}{:02}T{:02}{:02}{:02}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        );
        seconds += usize::from(proxy.occurrences(&stamp) > 0);
        second += Duration::from_secs(1);
    }
    seconds
}

async fn each_connection_has_a_token_of_its_own(redis: &RedisProcess, proxy: &Proxy, cluster: &str) {
    // ElastiCache checks the token; this server takes any, but nobody without a name.
    redis.command::<()>(&["ACL", "SETUSER", "ragline", "on", "nopass", "~*", "&*", "+@all"]).await;
    redis.command::<()>(&["ACL", "SETUSER", "default", "off"]).await;
    let app = TestApp::start().await;
    let id = id_of(&app.ada().ready("ducks.md", DUCKS).await);
    let variables = [
        ("REDIS_URL", &*proxy.url()),
        ("REDIS_CLUSTER", cluster),
        ("REDIS_IAM_USER", "ragline"),
        ("ELASTICACHE_NAME", "cache"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "y"),
        PATIENT,
        ("DYNAMODB_ENDPOINT", app.dynamodb_endpoint()),
    ];
    let since = OffsetDateTime::now_utc();
    let instance = Instance::start(INSTANCE, app.folder(), &variables).await;
    let (ada, path) = (app.ada().at(instance.url()), format!("/documents/{id}"));
    let first = ada.get(&path).await.expect(200);
    assert!(is_normal(cache(&first)), "{}", cache(&first));
    assert!(cache(&ada.get(&path).await).starts_with("ragline; hit"));
    let sent = |text| proxy.occurrences(text);
    assert!(sent("Action=connect&User=ragline") >= 1 && sent("X-Amz-Signature=") >= 1);

    // A token tells the second it was signed in.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let (before, connections) = (sent("X-Amz-Signature="), proxy.connections());
    proxy.cut().await;
    for number in 0..3 {
        let (next, took) = timed(ada.get(&path)).await;
        println!("request {number} after the cut: {took:?}, {}", cache(&next));
        assert!(is_normal(cache(&next.expect(200))));
    }
    assert!(proxy.connections() > connections);
    assert!(sent("X-Amz-Signature=") > before);
    assert!(seconds_of_signing(proxy, since) >= 2, "each has its own token");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_iam_signs_in_with_a_token_of_its_own_for_each_connection() {
    let redis = RedisProcess::start().await;
    let proxy = Proxy::start(&redis.url()).await;
    each_connection_has_a_token_of_its_own(&redis, &proxy, "false").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_iam_signs_in_to_a_cluster_with_a_token_of_its_own_for_each_connection() {
    let (redis, proxy) = cluster_behind_a_proxy().await;
    each_connection_has_a_token_of_its_own(&redis, &proxy, "true").await;
}
