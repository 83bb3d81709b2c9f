//! No read that began after a write was acknowledged shows the state before it, whatever happens to the cache.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use local::EmbeddedDynamoDb;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::clients::Builder;
use shared::tables::{self, Key};
use shared::tenancy::Role;
use tempfile::TempDir;
use tests::{Answer, Instance, Proxy, RedisProcess, TestApp, User};
use tokio::task::JoinSet;

use crate::flow::DUCKS;

pub(crate) const INSTANCE: &str = env!("CARGO_BIN_EXE_instance");
/// How long the epochs are trusted, and so how long a write waits for a cache that stalls: less than the default, so that
/// a test sees many such waits.
pub(crate) const TRUST: (&str, &str) = ("DOOR_TRUST_MS", "700");
/// How long a cache that failed is left alone: shorter than that, so that it is asked again while it is trusted.
pub(crate) const REST: (&str, &str) = ("REDIS_BREAKER_REST_MS", "100");
/// How many tasks there are; every other one also writes.
const TASKS: usize = 16;
/// How many documents there are, each with one writer.
const DOCUMENTS: usize = TASKS;
/// How many users there are that read and change their own profile, each with one writer.
const USERS: usize = TASKS / 4;

/// Something that is written by one task, one write after another, and whose value each of them makes larger by one. It
/// begins at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Register {
    /// A number in the metadata of a document.
    Metadata(usize),
    /// One in its filename.
    Filename(usize),
    /// One in the name of a user.
    Name(usize),
}

/// A value that was written or read.
#[derive(Debug, Clone, Copy)]
struct Operation {
    register: Register,
    value: u32,
    started: Instant,
    ended: Instant,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A write that was acknowledged.
    Write,
    /// One that may or may not have happened.
    FailedWrite,
    /// What a request showed that went to a process.
    Read { request: &'static str, process: usize, status: CacheStatus },
}

/// What the cache had to do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum CacheStatus {
    Hit,
    Collapsed,
    Miss,
    Stale,
    Bypass,
}

impl CacheStatus {
    fn of(answer: &Answer) -> Self {
        let value = answer.headers["cache-status"].to_str().unwrap();
        match value.split("; ").skip(1).collect::<Vec<_>>()[..] {
            ["hit", ..] => Self::Hit,
            ["fwd=miss", "collapsed"] => Self::Collapsed,
            ["fwd=miss", ..] => Self::Miss,
            ["fwd=stale", ..] => Self::Stale,
            ["fwd=bypass", ..] => Self::Bypass,
            _ => panic!("{value}"),
        }
    }
}

/// A read that did not show what it must, or showed what was not there yet.
#[derive(Debug)]
struct Violation {
    read: Operation,
    /// What it had to show at least.
    least: u32,
    /// The last that anybody wrote before it ended.
    most: u32,
    /// How long before the read began the write was acknowledged that it does not show.
    after: Duration,
}

/// The reads that are no result of the writes, where a write may be seen so much later than it was acknowledged.
fn violations(history: &[Operation], lag: Duration) -> Vec<Violation> {
    let is_read = |operation: &&Operation| matches!(operation.kind, Kind::Read { .. });
    let mut writes: HashMap<Register, Vec<Operation>> = HashMap::new();
    for write in history.iter().filter(|operation| !is_read(operation)) {
        writes.entry(write.register).or_default().push(*write);
    }
    let check = |read: &Operation| {
        let writes = writes.get(&read.register).map(Vec::as_slice).unwrap_or_default();
        let acknowledged = writes.iter().filter(|write| write.kind == Kind::Write && write.ended + lag < read.started);
        let least = acknowledged.clone().map(|write| write.value).max().unwrap_or(0);
        let begun = writes.iter().filter(|write| write.started < read.ended);
        let most = begun.map(|write| write.value).max().unwrap_or(0);
        let missed = acknowledged.filter(|write| write.value > read.value).map(|write| write.ended).min();
        let after = missed.map_or(Duration::ZERO, |ended| read.started - ended);
        (!(least..=most).contains(&read.value)).then_some(Violation { read: *read, least, most, after })
    };
    history.iter().filter(is_read).filter_map(check).collect()
}

#[test]
fn a_read_must_show_the_last_acknowledged_write_or_one_that_had_begun() {
    let zero = Instant::now();
    let at = |millis| zero + Duration::from_millis(millis);
    let operation = |kind, value, started, ended| Operation {
        register: Register::Metadata(0),
        value,
        started: at(started),
        ended: at(ended),
        kind,
    };
    let read = |value, started, ended| {
        operation(Kind::Read { request: "GET", process: 0, status: CacheStatus::Hit }, value, started, ended)
    };
    let writes = [
        operation(Kind::Write, 1, 10, 20),
        operation(Kind::FailedWrite, 2, 30, 40),
        operation(Kind::Write, 3, 50, 60),
        Operation { register: Register::Metadata(1), ..operation(Kind::Write, 9, 0, 1) },
    ];
    let is_wrong = |read: Operation| !violations(&[&writes[..], &[read]].concat(), Duration::ZERO).is_empty();
    for (value, started, ended, wrong) in [
        (0, 0, 5, false),
        // While a write is on its way, it may be seen or not.
        (0, 15, 25, false),
        (1, 15, 16, false),
        (0, 19, 70, false),
        // Once it was acknowledged, it must be seen.
        (0, 21, 25, true),
        (0, 21, 70, true),
        (1, 21, 25, false),
        // What has not begun cannot be.
        (1, 0, 5, true),
        (2, 21, 25, true),
        // A write that failed may have happened, and may be seen at any time later.
        (1, 45, 47, false),
        (2, 45, 47, false),
        (3, 45, 47, true),
        (3, 45, 55, false),
        (2, 61, 70, true),
        (1, 61, 70, true),
        (3, 61, 70, false),
        (9, 61, 70, true),
    ] {
        assert_eq!(is_wrong(read(value, started, ended)), wrong, "{value} read from {started} to {ended}");
    }
}

/// The generator xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016).
pub(crate) struct Random(u64);

impl Random {
    /// Generators of one seed that are as good as independent.
    pub(crate) fn new(seed: u64, number: usize) -> Self {
        let mut random = Self((seed ^ (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)).max(1));
        random.next();
        random.next();
        random
    }

    /// The seed in `CONSISTENCY_SEED`, or a new one.
    pub(crate) fn seed() -> u64 {
        let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = std::env::var("CONSISTENCY_SEED").ok().map_or_else(now, |seed| seed.parse().unwrap());
        println!("CONSISTENCY_SEED={seed}");
        seed
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// A number below this.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn millis(&mut self, from: usize, to: usize) -> Duration {
        Duration::from_millis((from + self.below(to - from)) as u64)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (2..=items.len()).rev() {
            let other = self.below(end);
            items.swap(end - 1, other);
        }
    }
}

/// The word that only this document has.
fn word(document: usize) -> String {
    format!("zyzzyva{document}")
}

fn user_id(user: usize) -> String {
    format!("user-{user}")
}

/// What all tasks know.
struct Scene {
    app: TestApp,
    urls: Vec<String>,
    documents: Vec<String>,
    until: Instant,
    /// Of the test's own, so that nobody reads its stream: that would tell the cache of each change once more, and hide
    /// that the writer did not.
    database: EmbeddedDynamoDb,
    _tables: TempDir,
}

impl Scene {
    /// Documents that are ready, in an installation with this Redis. Nothing has happened yet.
    async fn begin(redis: &str) -> Self {
        let tables = tempfile::tempdir().unwrap();
        let database = EmbeddedDynamoDb::start(&tables.path().join("tables")).await.unwrap();
        let app =
            TestApp::start_with(&[("REDIS_URL", redis), ("DYNAMODB_ENDPOINT", &database.url()), TRUST, REST]).await;
        let mut documents = Vec::new();
        for document in 0..DOCUMENTS {
            let text = format!("# Report {document}\n\nThe word {} stands here only.\n", word(document));
            documents.push(app.ada().upload("0.md", text).await);
        }
        for id in &documents {
            assert_eq!(app.ada().worked_off(id).await["status"], "ready");
        }
        let urls = vec![app.running().url()];
        Self { app, urls, documents, until: Instant::now(), database, _tables: tables }
    }

    /// Another process, with this way to the Redis.
    async fn join(&mut self, redis: &str) -> Instance {
        let variables = [("REDIS_URL", redis), ("DYNAMODB_ENDPOINT", self.app.dynamodb_endpoint()), TRUST, REST];
        let instance = Instance::start(INSTANCE, self.app.folder(), &variables).await;
        self.urls.push(instance.url().to_owned());
        instance
    }

    /// Lets tasks begin, and tells when they do.
    fn play(mut self, duration: Duration) -> (Arc<Self>, Instant) {
        let begun = Instant::now();
        self.until = begun + duration;
        (Arc::new(self), begun)
    }

    async fn end(self: Arc<Self>) {
        let Self { app, database, .. } = Arc::into_inner(self).expect("the tasks are done");
        app.stop().await;
        database.stop().await;
    }
}

/// One of those who read and write, and what it saw.
struct Task<'a> {
    scene: &'a Scene,
    random: Random,
    /// Those who speak: the editor of the documents, then the users of the profiles; each to every process.
    people: Vec<Vec<User<'a>>>,
    history: Vec<Operation>,
    /// The last value written to each of its own registers.
    written: HashMap<Register, u32>,
    slowest_write: Duration,
    /// What should not be: answers that are none.
    failures: Vec<String>,
}

impl<'a> Task<'a> {
    fn new(scene: &'a Scene, random: Random) -> Self {
        let at_each = |id: &str| {
            let user = scene.app.user("acme", id, Role::Editor);
            scene.urls.iter().map(|url| user.at(url)).collect()
        };
        let people = std::iter::once(at_each("ada")).chain((0..USERS).map(|user| at_each(&user_id(user)))).collect();
        Self {
            scene,
            random,
            people,
            history: Vec::new(),
            written: HashMap::new(),
            slowest_write: Duration::ZERO,
            failures: Vec::new(),
        }
    }

    async fn run(&mut self, number: usize) {
        let mut own = Vec::new();
        if number.is_multiple_of(2) {
            for document in [number, number + 1] {
                own.extend([Register::Metadata(document), Register::Filename(document)]);
            }
        }
        if number.is_multiple_of(4) {
            own.push(Register::Name(number / 4));
        }
        while Instant::now() < self.scene.until {
            if !own.is_empty() && self.random.below(100) < 20 {
                let register = own[self.random.below(own.len())];
                let process = self.random.below(self.scene.urls.len());
                self.write(register, process).await;
            } else {
                let process = self.random.below(self.scene.urls.len());
                self.read(process).await;
            }
        }
    }

    async fn write(&mut self, register: Register, process: usize) {
        let value = self.written.get(&register).map_or(1, |value| value + 1);
        self.written.insert(register, value);
        let document = |document: usize| format!("/documents/{}", self.scene.documents[document]);
        let (person, path, body) = match register {
            Register::Metadata(n) => (0, document(n), json!({ "metadata": { "n": value.to_string() } })),
            Register::Filename(n) => (0, document(n), json!({ "filename": format!("{value}.md") })),
            Register::Name(n) => (1 + n, "/users/me".to_owned(), json!({ "name": value.to_string() })),
        };
        let started = Instant::now();
        let answer = self.people[person][process].call(Method::PATCH, &path, &body).await;
        let ended = Instant::now();
        let acknowledged = self.is_ok("PATCH", &answer);
        let kind = if acknowledged { Kind::Write } else { Kind::FailedWrite };
        self.history.push(Operation { register, value, started, ended, kind });
        self.slowest_write = self.slowest_write.max(ended - started);
    }

    async fn read(&mut self, process: usize) {
        let user = self.random.below(USERS);
        // Some are asked for more often, so that answers are found in the cache.
        let range = if self.random.below(2) == 0 { 3 } else { DOCUMENTS };
        let document = self.random.below(range);
        let (request, person, method, path, body) = match self.random.below(10) {
            0..=2 => ("list", 0, Method::GET, "/documents?limit=100".to_owned(), Value::Null),
            3..=5 => {
                ("document", 0, Method::GET, format!("/documents/{}", self.scene.documents[document]), Value::Null)
            }
            6..=7 => ("search", 0, Method::POST, "/search".to_owned(), json!({ "query": word(document), "limit": 20 })),
            _ => ("profile", 1 + user, Method::GET, "/users/me".to_owned(), Value::Null),
        };
        let started = Instant::now();
        let answer = self.people[person][process].call(method, &path, &body).await;
        let ended = Instant::now();
        if !self.is_ok(request, &answer) {
            return;
        }
        let kind = Kind::Read { request, process, status: CacheStatus::of(&answer) };
        let seen = match request {
            "list" => {
                let listed = answer.body["data"].as_array().unwrap();
                assert_eq!(listed.len(), DOCUMENTS, "{}", answer.body);
                listed.iter().flat_map(|document| self.shown(document)).collect()
            }
            "document" => self.shown(&answer.body),
            "search" => {
                let passages = answer.body["data"].as_array().unwrap();
                let found = passages.iter().map(|passage| {
                    let number = self.number(&passage["document_id"]);
                    (Register::Filename(number), in_filename(passage))
                });
                let found: Vec<_> = found.collect();
                let wanted = Register::Filename(document);
                assert!(found.iter().any(|(register, _)| *register == wanted), "{wanted:?}: {}", answer.body);
                found
            }
            _ => vec![(Register::Name(user), answer.body["name"].as_str().map_or(0, number))],
        };
        let operation = |(register, value)| Operation { register, value, started, ended, kind };
        self.history.extend(seen.into_iter().map(operation));
    }

    /// What a document shows of its registers.
    fn shown(&self, document: &Value) -> Vec<(Register, u32)> {
        let n = self.number(&document["id"]);
        let metadata = document["metadata"]["n"].as_str().map_or(0, number);
        vec![(Register::Metadata(n), metadata), (Register::Filename(n), in_filename(document))]
    }

    fn number(&self, id: &Value) -> usize {
        self.scene.documents.iter().position(|known| id == known).expect("no other documents are there")
    }

    fn is_ok(&mut self, request: &str, answer: &Answer) -> bool {
        if answer.status != StatusCode::OK {
            self.failures.push(format!("{request}: {} {}", answer.status, answer.body));
        }
        answer.status == StatusCode::OK
    }
}

/// The number that a text is; 0 for the name that a token gave.
fn number(text: &str) -> u32 {
    text.parse().unwrap_or(0)
}

fn in_filename(value: &Value) -> u32 {
    number(value["filename"].as_str().unwrap().strip_suffix(".md").unwrap())
}

/// What is done to the cache.
#[derive(Debug, Clone, Copy)]
enum Harm {
    /// It forgets everything.
    Flush,
    /// It ends, and begins anew with an empty memory.
    Restart,
    /// All connections are closed.
    Disconnect,
    /// It is frozen for so many milliseconds. What was sent meanwhile is worked off afterwards.
    Pause(u64),
    /// Nothing reaches it for so many milliseconds, and what was sent meanwhile is lost.
    Lose(u64),
}

impl Harm {
    async fn done_to(self, redis: &mut RedisProcess, way: &mut Proxy) {
        match self {
            Self::Flush => redis.command::<()>(&["FLUSHALL"]).await,
            Self::Restart => {
                redis.kill().await;
                way.refuse().await;
                tokio::time::sleep(Duration::from_millis(300)).await;
                redis.restart().await;
                way.accept().await;
            }
            Self::Disconnect => redis.command::<()>(&["CLIENT", "KILL", "TYPE", "normal"]).await,
            Self::Pause(millis) => {
                redis.pause();
                tokio::time::sleep(Duration::from_millis(millis)).await;
                redis.resume();
            }
            Self::Lose(millis) => {
                way.delay(Duration::from_mins(5), Duration::ZERO);
                tokio::time::sleep(Duration::from_millis(millis)).await;
                way.cut().await;
                way.delay(Duration::ZERO, Duration::ZERO);
            }
        }
    }
}

/// All of them. Some are shorter than the epochs are trusted, some longer.
const HARMS: [Harm; 8] = [
    Harm::Flush,
    Harm::Restart,
    Harm::Disconnect,
    Harm::Pause(200),
    Harm::Pause(1_000),
    Harm::Pause(3_000),
    Harm::Lose(400),
    Harm::Lose(400),
];

/// Does each harm so often, in any order, with pauses in which everything works.
pub(crate) async fn chaos(
    mut redis: RedisProcess,
    mut way: Proxy,
    mut random: Random,
    begun: Instant,
    times: usize,
) -> Vec<String> {
    let mut log = Vec::new();
    for _ in 0..times {
        let mut harms = HARMS;
        random.shuffle(&mut harms);
        for harm in harms {
            tokio::time::sleep(random.millis(300, 1_200)).await;
            let from = begun.elapsed();
            harm.done_to(&mut redis, &mut way).await;
            log.push(format!("{harm:?} from {from:.3?} to {:.3?}", begun.elapsed()));
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    log
}

impl Violation {
    fn told(&self, begun: Instant) -> String {
        let Self { read, least, most, after } = self;
        let (started, ended) = (read.started - begun, read.ended - begun);
        let (register, value, kind) = (read.register, read.value, read.kind);
        format!(
            "{register:?} was {value}, not {least} to {most}, from {started:.3?} to {ended:.3?}, {after:.3?} too late, \
             {kind:?}"
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_read_that_began_after_a_write_was_acknowledged_shows_the_state_before_it() {
    let seed = Random::seed();
    let redis = RedisProcess::start().await;
    let way = Proxy::start(&redis.url()).await;
    let mut scene = Scene::begin(&way.url()).await;
    let instances = [scene.join(&way.url()).await, scene.join(&way.url()).await];
    let (scene, begun) = scene.play(Duration::from_secs(25));
    let harm = tokio::spawn(chaos(redis, way, Random::new(seed, TASKS), begun, 2));
    let mut tasks = JoinSet::new();
    for number in 0..TASKS {
        let (scene, random) = (Arc::clone(&scene), Random::new(seed, number));
        tasks.spawn(async move {
            let mut task = Task::new(&scene, random);
            task.run(number).await;
            (task.history, task.slowest_write, task.failures)
        });
    }
    let outcome = Outcome::of(tasks.join_all().await);
    let log = harm.await.unwrap();
    tell(&outcome.history, begun);
    println!("{}", log.join("\n"));
    outcome.assert_consistent(begun, Duration::ZERO);
    drop(instances);
    scene.end().await;
}

/// A process writes that alone cannot reach the cache, in a way that is brought about with its proxy, while others read
/// from another process that can. They may see what it writes so much later than it was acknowledged.
async fn write_without_the_cache<F: Future<Output = Proxy>>(part: impl FnOnce(Proxy) -> F, lag: Duration) {
    let seed = Random::seed();
    let redis = RedisProcess::start().await;
    let proxy = Proxy::start(&redis.url()).await;
    let mut scene = Scene::begin(&redis.url()).await;
    let apart = scene.join(&proxy.url()).await;
    let (scene, begun) = scene.play(Duration::from_secs(8));
    let mut tasks = JoinSet::new();
    for number in 0..4 {
        let (scene, random) = (Arc::clone(&scene), Random::new(seed, number));
        tasks.spawn(async move {
            let mut task = Task::new(&scene, random);
            while Instant::now() < scene.until {
                if number == 0 {
                    task.write(Register::Filename(0), 1).await;
                    task.write(Register::Name(0), 1).await;
                } else {
                    task.read(0).await;
                }
            }
            (task.history, task.slowest_write, task.failures)
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let proxy = part(proxy).await;
    let outcome = Outcome::of(tasks.join_all().await);
    tell(&outcome.history, begun);
    println!("stale reads without that lag {}", violations(&outcome.history, Duration::ZERO).len());
    outcome.assert_consistent(begun, lag);
    drop((apart, proxy));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_writes_that_alone_hears_nothing_from_the_cache_is_seen_at_once() {
    let part = async |proxy: Proxy| {
        proxy.delay(Duration::from_mins(5), Duration::ZERO);
        proxy
    };
    write_without_the_cache(part, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_writes_that_alone_is_refused_by_the_cache_is_seen_when_trust_ends() {
    let part = async |mut proxy: Proxy| {
        proxy.refuse().await;
        proxy.cut().await;
        proxy
    };
    // It takes the cache for gone, and does not wait.
    write_without_the_cache(part, Duration::from_millis(TRUST.1.parse().unwrap())).await;
}

/// What all tasks did.
struct Outcome {
    history: Vec<Operation>,
    slowest_write: Duration,
    failures: Vec<String>,
}

impl Outcome {
    fn of(tasks: Vec<(Vec<Operation>, Duration, Vec<String>)>) -> Self {
        let mut all = Self { history: Vec::new(), slowest_write: Duration::ZERO, failures: Vec::new() };
        for (history, slowest, failures) in tasks {
            all.history.extend(history);
            all.slowest_write = all.slowest_write.max(slowest);
            all.failures.extend(failures);
        }
        all
    }

    /// Where a write may be seen so much later than it was acknowledged.
    fn assert_consistent(&self, begun: Instant, lag: Duration) {
        let stale = violations(&self.history, lag);
        println!("slowest write {:?}, failures {}", self.slowest_write, self.failures.len());
        println!("stale reads {}", stale.len());
        assert!(self.failures.is_empty(), "{:#?}", self.failures);
        let told: Vec<_> = stale.iter().map(|violation| violation.told(begun)).take(20).collect();
        assert!(stale.is_empty(), "{} stale reads, such as {told:#?}", stale.len());
    }
}

/// Says what was done, and that it was enough.
fn tell(history: &[Operation], begun: Instant) {
    let mut requests: BTreeMap<(&str, CacheStatus), Vec<Instant>> = BTreeMap::new();
    for operation in history {
        if let Kind::Read { request, status, .. } = operation.kind {
            requests.entry((request, status)).or_default().push(operation.started);
        }
    }
    let mut by_status: BTreeMap<CacheStatus, usize> = BTreeMap::new();
    for ((request, status), starts) in &mut requests {
        // A request that shows several values is one.
        starts.sort_unstable();
        starts.dedup();
        *by_status.entry(*status).or_default() += starts.len();
        println!("{request} {status:?} {}", starts.len());
    }
    let writes = history.iter().filter(|operation| operation.kind == Kind::Write).count();
    let (reads, values) = (by_status.values().sum::<usize>(), history.len() - writes);
    println!("{} operations in {:?}: {writes} writes, {reads} reads, {values} values", writes + reads, begun.elapsed());
    println!("{by_status:?}");
    assert!(writes > 5 && reads > 200, "there is enough to be wrong");
    assert!(by_status[&CacheStatus::Hit] > 50, "and enough of it is from the cache");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_replaces_epochs_soon_after_a_change_behind_the_api() {
    let app = TestApp::start().await;
    let document = app.ada().ready("ducks.md", DUCKS).await;
    let builder = Builder::new(app.running().variables().clone()).await.unwrap();
    let (dynamodb, redis) = (builder.dynamodb().unwrap(), builder.redis().unwrap());
    let acme = "acme".parse().unwrap();
    let mut epoch_of_lists = redis::cmd("HGET");
    epoch_of_lists.arg(format!("{{{acme}}}:epochs")).arg("documents");
    let epoch = async || redis.insist::<Option<String>>(&epoch_of_lists).await.unwrap_or_default();
    let document = Key::document(&acme, document["id"].as_str().unwrap().parse().unwrap());
    let mut lags = Vec::new();
    for number in 0..5 {
        // What happened before is worked off by then.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (before, started) = (epoch().await, Instant::now());
        dynamodb
            .client
            .update_item()
            .table_name(&dynamodb.table)
            .set_key(Some(document.clone().attributes()))
            .update_expression("SET behind_the_api = :number")
            .expression_attribute_values(":number", tables::text(number.to_string()))
            .send()
            .await
            .unwrap();
        while epoch().await == before {
            assert!(started.elapsed() < Duration::from_secs(10), "the stream replaces no epoch");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        lags.push(started.elapsed().as_millis());
    }
    lags.sort_unstable();
    println!("stream lag {} ms (from {} to {})", lags[lags.len() / 2], lags[0], lags[lags.len() - 1]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_waited_for_is_made_of_the_records_of_the_epoch_it_is_stored_under() {
    let redis = RedisProcess::start().await;
    let scene = Scene::begin(&redis.url()).await;
    let ada = scene.app.ada();
    ada.get("/users/me").await.expect(200);
    let answers: Vec<String> = redis.command(&["KEYS", "{acme}:answer:*"]).await;
    let epoch: String = redis.command(&["HGET", "{acme}:epochs", "users"]).await;
    for answer in &answers {
        // Another environment, it says, is computing it; it never will.
        redis.command::<()>(&["DEL", answer]).await;
        redis.command::<usize>(&["HSET", answer, "editor:lease", &format!("{epoch} 9000000000000000")]).await;
    }
    let waiting = async { assert_eq!(ada.get("/users/me").await.expect(200).body["id"], "ada") };
    let change = async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        ada.call(Method::PATCH, "/users/me", &json!({ "name": "after" })).await.expect(200);
    };
    tokio::join!(waiting, change);
    let answer = ada.get("/users/me").await.expect(200);
    assert_eq!((answer.body["name"].as_str(), CacheStatus::of(&answer)), (Some("after"), CacheStatus::Hit));
    scene.play(Duration::ZERO).0.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_did_not_ask_the_cache_for_long_waits_as_long_as_the_others_trust_it() {
    const TRUST: (&str, &str) = ("DOOR_TRUST_MS", "3000");
    let redis = RedisProcess::start().await;
    let (here, there) = (Proxy::start(&redis.url()).await, Proxy::start(&redis.url()).await);
    let app = TestApp::start_with(&[("REDIS_URL", &*here.url()), TRUST, REST]).await;
    let variables = [("REDIS_URL", &*there.url()), ("DYNAMODB_ENDPOINT", app.dynamodb_endpoint()), TRUST, REST];
    let instance = Instance::start(INSTANCE, app.folder(), &variables).await;
    let (ada, elsewhere) = (app.ada(), app.ada().at(instance.url()));
    let lost = async |way: &Proxy| {
        way.cut().await;
        way.delay(Duration::ZERO, Duration::ZERO);
    };

    // One request fails there. Then nothing is asked, and so nothing is known of the cache, for longer than it is trusted.
    elsewhere.get("/users/me").await.expect(200);
    there.delay(Duration::from_mins(5), Duration::ZERO);
    assert_eq!(CacheStatus::of(&elsewhere.get("/users/me").await.expect(200)), CacheStatus::Bypass);
    lost(&there).await;
    tokio::time::sleep(Duration::from_millis(3_500)).await;

    // The cache is trusted here from now on, and has an answer; then nobody reaches it for as long as the write takes.
    redis.command::<()>(&["FLUSHALL"]).await;
    for _ in 0..2 {
        ada.get("/users/me").await.expect(200);
    }
    for way in [&here, &there] {
        way.delay(Duration::from_mins(5), Duration::ZERO);
    }
    elsewhere.call(Method::PATCH, "/users/me", &json!({ "name": "after" })).await.expect(200);
    for way in [&here, &there] {
        lost(way).await;
    }
    let mut hits = 0;
    while hits < 3 {
        let answer = ada.get("/users/me").await.expect(200);
        assert_eq!(answer.body["name"], "after", "{:?}", answer.headers);
        hits += u32::from(CacheStatus::of(&answer) == CacheStatus::Hit);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    app.stop().await;
}
