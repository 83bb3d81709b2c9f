//! Who may do what changes at once: no request that began after the change was acknowledged is answered as before it, by
//! any process, however it asks, and whatever happens to the cache.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use local::EmbeddedDynamoDb;
use reqwest::Method;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tempfile::TempDir;
use tests::{Answer, Instance, Proxy, RedisProcess, TestApp};
use tokio::task::JoinSet;

use crate::consistency::{INSTANCE, REST, Random, TRUST, chaos};

/// A second plan, so that there is one to change to.
const PLANS: (&str, &str) = ("PLANS", r#"{"pro": {"user_per_minute": 2000000}}"#);
/// How many changes of each kind there are.
const CHANGES: u32 = 100;
/// How many ask as fast as they can while things of one kind change.
const READERS: usize = 1;
/// A word of the document in the closed collection.
const WORD: &str = "zyzzyva";

/// What changes. Each kind has a tenant of its own, and in it bob, whom all of it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Bob's role: viewer, editor, admin, and again.
    Role,
    /// Bob's membership in a closed collection, given and taken.
    Membership,
    /// A collection that bob is no member of, closed and opened.
    Access,
    /// An API key of bob's, made and revoked. Each is another one.
    Key,
    /// Bob, removed and invited again.
    User,
    /// The plan of the tenant.
    Plan,
}

const KINDS: [Kind; 6] = [Kind::Role, Kind::Membership, Kind::Access, Kind::Key, Kind::User, Kind::Plan];

/// A set of states: what may be, or what an answer fits.
type States = u8;
/// The states of most kinds. A role has three: viewer, editor and admin.
const SHUT: States = 1;
const OPEN: States = 2;
const ADMIN: States = 4;

/// A change of one thing of a kind; each thing is changed by one task, one change after another.
#[derive(Debug, Clone, Copy)]
struct Change {
    thing: u32,
    to: States,
    started: Instant,
    ended: Instant,
    acknowledged: bool,
}

/// What an answer said of a thing.
#[derive(Debug, Clone, Copy)]
struct Sight {
    thing: u32,
    /// The states that it fits.
    fits: States,
    started: Instant,
    ended: Instant,
    asked: Asked,
}

/// What was asked.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    what: &'static str,
    process: usize,
    by_key: bool,
}

/// The states that a request may show: that of the last change which was acknowledged before it began, and of those that
/// came after and had begun before it ended.
fn possible(changes: &[Change], first: States, sight: &Sight) -> States {
    let mut states = first;
    for change in changes.iter().filter(|change| change.thing == sight.thing && change.started < sight.ended) {
        let is_known = change.acknowledged && change.ended < sight.started;
        states = if is_known { change.to } else { states | change.to };
    }
    states
}

#[test]
fn a_request_must_show_what_was_acknowledged_before_it_or_began_before_its_end() {
    let zero = Instant::now();
    let at = |millis| zero + Duration::from_millis(millis);
    let change = |to, started, ended, acknowledged| Change {
        thing: 1,
        to,
        started: at(started),
        ended: at(ended),
        acknowledged,
    };
    let changes = [
        change(SHUT, 10, 20, true),
        change(OPEN, 30, 40, false),
        change(ADMIN, 50, 60, true),
        Change { thing: 2, ..change(SHUT, 100, 101, true) },
    ];
    for (started, ended, expected) in [
        (0, 5, OPEN),
        (0, 15, OPEN | SHUT),
        (15, 16, OPEN | SHUT),
        (21, 25, SHUT),
        (19, 25, OPEN | SHUT),
        (21, 35, SHUT | OPEN),
        // What failed may have happened, now or later.
        (41, 45, SHUT | OPEN),
        (41, 55, SHUT | OPEN | ADMIN),
        (61, 70, ADMIN),
        (0, 70, SHUT | OPEN | ADMIN),
        (200, 201, ADMIN),
    ] {
        let sight = Sight { thing: 1, fits: 0, started: at(started), ended: at(ended), asked: Asked::default() };
        assert_eq!(possible(&changes, OPEN, &sight), expected, "from {started} to {ended}");
    }
}

/// What all tasks of a kind know.
struct Scene {
    app: TestApp,
    urls: Vec<String>,
    /// The document in the closed collection of each kind that has one.
    documents: BTreeMap<Kind, String>,
    /// Bob's key of each kind; of [`Kind::Key`] the newest, with its number.
    keys: Mutex<BTreeMap<Kind, (u32, String)>>,
    /// How many writers are not done.
    writing: AtomicUsize,
    until: Instant,
    /// Of the test's own, so that nobody reads its stream: that would tell the cache of each change once more, and hide
    /// that the writer did not.
    database: EmbeddedDynamoDb,
    _tables: TempDir,
    instances: Vec<Instance>,
}

impl Kind {
    fn tenant(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn first(self) -> States {
        match self {
            Self::Role => ADMIN,
            Self::Membership | Self::Plan => SHUT,
            Self::Access | Self::Key | Self::User => OPEN,
        }
    }

    /// The request by which a change is made, and what it makes of it.
    fn change(self, number: u32, key: &str) -> (Method, String, Value, States) {
        let put_bob = |role: &str, collections: Value| {
            (Method::PUT, "/users/bob".to_owned(), json!({ "role": role, "collections": collections }))
        };
        let is_even = number.is_multiple_of(2);
        let (method, path, body) = match self {
            Self::Role => {
                let (role, to) = [("viewer", SHUT), ("editor", OPEN), ("admin", ADMIN)][number as usize % 3];
                let (method, path, body) = put_bob(role, json!([]));
                return (method, path, body, to);
            }
            Self::Membership if is_even => put_bob("viewer", json!([{ "id": "board", "role": "viewer" }])),
            Self::Access => {
                let access = if is_even { "members" } else { "tenant" };
                (Method::PUT, "/collections/board".to_owned(), json!({ "access": access }))
            }
            Self::Key => return (Method::DELETE, format!("/keys/{key}"), Value::Null, SHUT),
            Self::User if is_even => (Method::DELETE, "/users/bob".to_owned(), Value::Null),
            Self::Membership | Self::User => put_bob("viewer", json!([])),
            Self::Plan => {
                let plan = if is_even { "pro" } else { "standard" };
                (Method::PUT, format!("/tenants/{}", self.tenant()), json!({ "plan": plan }))
            }
        };
        // The first change is the opposite of how it begins.
        let to = if is_even { SHUT + OPEN - self.first() } else { self.first() };
        (method, path, body, to)
    }

    /// What may be asked that shows it.
    fn asks(self) -> &'static [&'static str] {
        match self {
            Self::Role => &["me", "audit"],
            Self::Membership | Self::Access => &["me", "document", "list", "search", "chunks", "collections"],
            Self::Key | Self::User => &["me", "list", "search"],
            Self::Plan => &["me", "list"],
        }
    }
}

impl Scene {
    /// Everything as it is before the first change, in three processes with this way to the cache.
    async fn begin(redis: &str) -> Self {
        let tables = tempfile::tempdir().unwrap();
        let database = EmbeddedDynamoDb::start(&tables.path().join("tables")).await.unwrap();
        let variables = [("REDIS_URL", redis), ("DYNAMODB_ENDPOINT", &database.url()), TRUST, REST, PLANS];
        let app = TestApp::start_with(&variables).await;
        let mut instances = Vec::new();
        for _ in 0..2 {
            instances.push(Instance::start(INSTANCE, app.folder(), &variables).await);
        }
        let (mut documents, mut keys) = (BTreeMap::new(), BTreeMap::new());
        for kind in KINDS {
            let tenant = kind.tenant();
            let owner = app.user(&tenant, "olga", Role::Owner);
            owner.put("/users/bob", json!({ "role": "admin" })).await.expect(201);
            let bob = app.user(&tenant, "bob", Role::Viewer);
            // An admin's, so that no role of bob's is above it.
            let key = bob.post("/keys", json!({ "name": "robot", "role": "admin" })).await.expect(201).body;
            keys.insert(kind, (0, key["key"].as_str().unwrap().to_owned()));
            if kind != Kind::Role {
                owner.put("/users/bob", json!({ "role": "viewer" })).await.expect(200);
            }
            if matches!(kind, Kind::Membership | Kind::Access) {
                let access = if kind == Kind::Access { "tenant" } else { "members" };
                owner.put("/collections/board", json!({ "access": access })).await.expect(200);
                let fields = [("collection", "board")];
                let text = format!("The word {WORD} stands here.");
                let upload = owner.upload_with("board.md", text.as_bytes(), &fields).await.expect(202).body;
                let id = upload["document"]["id"].as_str().unwrap().to_owned();
                assert_eq!(owner.worked_off(&id).await["status"], "ready");
                documents.insert(kind, id);
            }
        }
        let mut urls = vec![app.running().url()];
        urls.extend(instances.iter().map(|instance| instance.url().to_owned()));
        Self {
            app,
            urls,
            documents,
            keys: Mutex::new(keys),
            writing: AtomicUsize::new(KINDS.len()),
            until: Instant::now() + Duration::from_mins(2),
            database,
            _tables: tables,
            instances,
        }
    }

    async fn end(self: Arc<Self>) {
        let Self { app, database, instances, .. } = Arc::into_inner(self).expect("the tasks are done");
        drop(instances);
        app.stop().await;
        database.stop().await;
    }

    fn is_over(&self) -> bool {
        self.writing.load(Ordering::Relaxed) == 0 || Instant::now() > self.until
    }

    /// Asks a process as bob, and tells what the answer fits.
    async fn ask(&self, kind: Kind, asked: Asked) -> Result<Sight, String> {
        let Asked { what, process, by_key } = asked;
        let (mut thing, text) = self.keys.lock().unwrap()[&kind].clone();
        let token = || self.app.token(&kind.tenant(), "bob", Role::Viewer);
        let bob = self.app.bearer(&if by_key { text } else { token() });
        if kind != Kind::Key {
            thing = 0;
        }
        let bob = bob.at(&self.urls[process]);
        let document = self.documents.get(&kind).map_or("", String::as_str);
        let started = Instant::now();
        let answer = match what {
            "me" => bob.get("/users/me").await,
            "audit" => bob.get("/audit?limit=1").await,
            "document" => bob.get(&format!("/documents/{document}")).await,
            "chunks" => bob.get(&format!("/documents/{document}/chunks")).await,
            "list" => bob.get("/documents").await,
            "collections" => bob.get("/collections").await,
            _ => bob.post("/search", json!({ "query": WORD })).await,
        };
        let ended = Instant::now();
        let fits = fits(kind, what, document, &answer)
            .ok_or_else(|| format!("{kind:?} {what}: {} {}", answer.status, answer.body))?;
        Ok(Sight { thing, fits, started, ended, asked })
    }
}

/// The states that an answer fits; none if it is no answer.
fn fits(kind: Kind, ask: &str, document: &str, answer: &Answer) -> Option<States> {
    let (status, body) = (answer.status.as_u16(), &answer.body);
    let either = |is_open: bool| Some(if is_open { OPEN } else { SHUT });
    match (kind, ask, status) {
        (Kind::Role, "audit", 200) => Some(ADMIN),
        (Kind::Role, "audit", 403) => Some(SHUT | OPEN),
        (Kind::Role, "me", 200) => match body["role"].as_str()? {
            "viewer" => Some(SHUT),
            "editor" => Some(OPEN),
            "admin" => Some(ADMIN),
            _ => None,
        },
        (Kind::Key | Kind::User, _, 200 | 401) | (_, "document" | "chunks", 200 | 404) => either(status == 200),
        (Kind::Plan, "me", 200) => either(body["tenant"]["plan"] == "pro"),
        // Without the cache it is a quarter of each limit.
        (Kind::Plan, _, 200) => either(["2000000", "500000"].contains(&user_quota(answer)?)),
        (_, "me", 200) => {
            let collections = body["collections"].as_array()?;
            either(collections.iter().any(|collection| collection["id"] == "board"))
        }
        (_, "collections", 200) => either(body["data"].as_array()?.iter().any(|one| one["id"] == "board")),
        (_, "list", 200) => either(body["data"].as_array()?.iter().any(|one| one["id"] == document)),
        (_, "search", 200) => either(body["data"].as_array()?.iter().any(|one| one["document_id"] == document)),
        _ => None,
    }
}

fn user_quota(answer: &Answer) -> Option<&str> {
    answer.header("ratelimit-policy").split_once("\"user\";q=")?.1.split(';').next()
}

/// What the tasks of one kind did and saw.
#[derive(Default)]
struct History {
    changes: Vec<Change>,
    sights: Vec<Sight>,
    /// What should not be: answers that are none.
    failures: Vec<String>,
}

impl History {
    fn saw(&mut self, outcome: Result<Sight, String>) {
        match outcome {
            Ok(sight) => self.sights.push(sight),
            Err(failure) => self.failures.push(failure),
        }
    }
}

/// Makes the changes of a kind, through one process after the other, and asks all of them right after each.
async fn write(scene: &Scene, kind: Kind) -> History {
    let mut history = History::default();
    let owner = match kind {
        Kind::Plan => scene.app.user("platform", "eva", Role::Operator),
        _ => scene.app.user(&kind.tenant(), "olga", Role::Owner),
    };
    let bob = scene.app.user(&kind.tenant(), "bob", Role::Viewer);
    for number in 0..CHANGES {
        if Instant::now() > scene.until {
            break;
        }
        let process = number as usize % scene.urls.len();
        let (mut thing, mut key) = (0, String::new());
        if kind == Kind::Key {
            let made = bob.at(&scene.urls[process]).post("/keys", json!({ "name": "robot" })).await.expect(201).body;
            (thing, key) = (number + 1, made["id"].as_str().unwrap().to_owned());
            let text = made["key"].as_str().unwrap().to_owned();
            scene.keys.lock().unwrap().insert(kind, (thing, text));
            everybody(scene, kind, number, &mut history).await;
        }
        let (method, path, body, to) = kind.change(number, &key);
        let started = Instant::now();
        let answer = owner.at(&scene.urls[process]).call(method, &path, &body).await;
        let ended = Instant::now();
        let acknowledged = answer.status.is_success();
        if !acknowledged {
            history.failures.push(format!("{kind:?} {path}: {} {}", answer.status, answer.body));
        }
        history.changes.push(Change { thing, to, started, ended, acknowledged });
        everybody(scene, kind, number, &mut history).await;
    }
    scene.writing.fetch_sub(1, Ordering::Relaxed);
    history
}

/// Asks every process for two things at once.
async fn everybody(scene: &Scene, kind: Kind, number: u32, history: &mut History) {
    let asks = kind.asks();
    let mut all = Vec::new();
    for process in 0..scene.urls.len() {
        for what in ["me", asks[number as usize / 2 % asks.len()]] {
            let by_key = is_by_key(kind, number as usize + process);
            all.push(scene.ask(kind, Asked { what, process, by_key }));
        }
    }
    for outcome in join_all(all).await {
        history.saw(outcome);
    }
}

/// Whether to ask by an API key. A user's removal ends the user's keys for ever, so there they do not show what comes after.
fn is_by_key(kind: Kind, number: usize) -> bool {
    match kind {
        Kind::Key => true,
        Kind::User => false,
        _ => number.is_multiple_of(2),
    }
}

/// Asks as fast as it can.
async fn read(scene: &Scene, kind: Kind, mut random: Random) -> History {
    let mut history = History::default();
    let asks = kind.asks();
    while !scene.is_over() {
        let (what, process) = (asks[random.below(asks.len())], random.below(scene.urls.len()));
        let by_key = is_by_key(kind, random.below(2));
        history.saw(scene.ask(kind, Asked { what, process, by_key }).await);
    }
    history
}

/// Lets all kinds of changes happen side by side, and checks what was seen.
async fn play(scene: Arc<Scene>, seed: u64) {
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for (place, kind) in KINDS.into_iter().enumerate() {
        let writer = Arc::clone(&scene);
        tasks.spawn(async move { (kind, write(&writer, kind).await) });
        for number in 0..READERS {
            let (reader, random) = (Arc::clone(&scene), Random::new(seed, place * READERS + number));
            tasks.spawn(async move { (kind, read(&reader, kind, random).await) });
        }
    }
    let mut histories: BTreeMap<Kind, History> = BTreeMap::new();
    for (kind, history) in tasks.join_all().await {
        let all = histories.entry(kind).or_default();
        all.changes.extend(history.changes);
        all.sights.extend(history.sights);
        all.failures.extend(history.failures);
    }
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for (kind, History { changes, sights, failures }) in &histories {
        let pinned = sights.iter().filter(|sight| possible(changes, kind.first(), sight).is_power_of_two()).count();
        println!("{kind:?}: {} changes, {} reads, {pinned} of one possible state", changes.len(), sights.len());
        assert!(changes.len() > 2 && pinned > 30, "there is enough to be wrong");
        assert!(failures.is_empty(), "{} failures, such as {:#?}", failures.len(), failures.first());
        checked += sights.len();
        for sight in sights {
            let possible = possible(changes, kind.first(), sight);
            if possible & sight.fits == 0 {
                let Sight { fits, started, ended, asked: Asked { what, process, by_key }, .. } = *sight;
                let (from, to) = (started - begun, ended - begun);
                let told = format!("{what} at {process}, by key {by_key}, from {from:?} to {to:?}");
                wrong.push(format!("{kind:?} must be {possible} and is {fits}: {told}"));
            }
        }
    }
    println!("{checked} reads checked in {:?}, {} stale", begun.elapsed(), wrong.len());
    assert!(wrong.is_empty(), "{} stale reads, such as {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_from_somebody_is_gone_for_the_next_request_at_every_process() {
    let redis = RedisProcess::start().await;
    let scene = Scene::begin(&redis.url()).await;
    play(Arc::new(scene), Random::seed()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_from_somebody_is_gone_for_the_next_request_whatever_happens_to_the_cache() {
    let seed = Random::seed();
    let redis = RedisProcess::start().await;
    let way = Proxy::start(&redis.url()).await;
    let mut scene = Scene::begin(&way.url()).await;
    let begun = Instant::now();
    scene.until = begun + Duration::from_secs(13);
    let harm = tokio::spawn(chaos(redis, way, Random::new(seed, 100), begun, 1));
    play(Arc::new(scene), seed).await;
    println!("{}", harm.await.unwrap().join("\n"));
}
