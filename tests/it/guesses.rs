//! Whoever guesses, or was told, an id of another tenant or of a collection that is closed to them learns nothing by it,
//! wherever they put it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{TestApp, User};

/// A word that stands in the closed collection and in what concerns it: in texts, names, metadata, conversations.
const CLOSED: &str = "blubberwort";
/// One that stands in what all of the tenant may read.
const INNER: &str = "wobbleroot";
const QUESTION: &str = "What is the code of the vault?";

/// An answer as it came over the wire.
struct Heard {
    status: u16,
    text: String,
    /// Where it came from, or where it leads.
    url: Url,
    etag: String,
}

async fn hear(user: &User<'_>, method: &str, path: &str, body: &Value) -> Heard {
    let (kind, bytes) =
        if body.is_null() { ("", Vec::new()) } else { ("application/json", body.to_string().into_bytes()) };
    read(user.send(method.parse().unwrap(), path, kind, bytes).await).await
}

async fn read(response: reqwest::Response) -> Heard {
    let location = response.headers().get("location").map(|location| location.to_str().unwrap().parse().unwrap());
    let (status, url) = (response.status().as_u16(), location.unwrap_or_else(|| response.url().clone()));
    let etag = response.headers().get("etag").map_or("", |value| value.to_str().unwrap()).to_owned();
    let mut text = String::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        text.extend([name.as_str(), ": ", &value, "\n"]);
    }
    text.push_str(&String::from_utf8_lossy(&response.bytes().await.unwrap()));
    Heard { status, text, url, etag }
}

/// What somebody owns whom others envy.
struct Owned {
    document: String,
    conversation: String,
    key: String,
    user: String,
}

/// Two tenants with the same user ids, collection ids and file names, and much to envy in the first.
struct Scene {
    app: TestApp,
    closed: Owned,
    inner: Owned,
    /// The text of a key of ada's in the first tenant.
    key_text: String,
    /// The original in the closed collection.
    bytes: String,
    /// A document of the second tenant.
    foreign: String,
}

impl Scene {
    async fn begin() -> Self {
        let app = TestApp::start_with(&[("CONTENT_URL_SECONDS", "2")]).await;
        let (mut closed, mut inner) = (None, None);
        let (mut key_text, mut bytes, mut foreign) = (String::new(), String::new(), String::new());
        for tenant in ["acme", "globex"] {
            let owner = app.user(tenant, "olga", Role::Owner);
            let is_first = tenant == "acme";
            let word = |word: &'static str| if is_first { word } else { "nothing" };
            for (id, access) in [("board", "members"), ("open", "tenant")] {
                let name = format!("{id} {}", if id == "board" { word(CLOSED) } else { word(INNER) });
                owner.put(&format!("/collections/{id}"), json!({ "name": name, "access": access })).await.expect(200);
            }
            let put = json!({
                "role": "editor", "name": format!("Ada {}", word(CLOSED)), "email": "ada@example.com",
                "collections": [{ "id": "board", "role": "editor" }],
            });
            owner.put("/users/ada", put).await.expect(201);
            let ada = app.user(tenant, "ada", Role::Editor);
            let text = |word: &str| {
                format!("# Vault\n\nThe code of the vault is {word}.\n\n# Door\n\nThe code of the door is {word}.\n")
            };
            for (id, secret) in [("board", word(CLOSED)), ("open", word(INNER))] {
                let text = text(secret);
                let metadata = json!({ "code": secret }).to_string();
                let fields = [("collection", id), ("metadata", &metadata)];
                let upload = ada.upload_with(&format!("{secret}.md"), text.as_bytes(), &fields).await.expect(202).body;
                let document = upload["document"]["id"].as_str().unwrap().to_owned();
                assert_eq!(ada.worked_off(&document).await["status"], "ready");
                let ask = json!({
                    "message": format!("{QUESTION} Is it {secret}?"), "collections": [id], "stream": false,
                });
                ada.post("/chat", ask.clone()).await.expect(200);
                let chat = ada.post("/chat", ask).await.expect(200).body;
                let conversation = chat["conversation_id"].as_str().unwrap().to_owned();
                let make = json!({ "name": format!("robot {secret}"), "role": "editor", "collections": [id] });
                let key = ada.post("/keys", make).await.expect(201).body;
                if !is_first {
                    foreign = document;
                    continue;
                }
                let user = format!("user-of-{id}");
                let put = json!({ "role": "viewer", "name": secret, "email": format!("{secret}@example.com") });
                owner.put(&format!("/users/{user}"), put).await.expect(201);
                let key_id = key["id"].as_str().unwrap().to_owned();
                let owned = Some(Owned { document, conversation, key: key_id, user });
                if id == "board" {
                    (closed, bytes) = (owned, text);
                } else {
                    inner = owned;
                    key_text = key["key"].as_str().unwrap().to_owned();
                }
            }
        }
        owner_of_platform(&app).await;
        Self { app, closed: closed.unwrap(), inner: inner.unwrap(), key_text, bytes, foreign }
    }

    /// Owner of the second tenant, with the user id of the first one's.
    fn stranger(&self) -> User<'_> {
        self.app.user("globex", "olga", Role::Owner)
    }

    /// One of the first tenant who is no member of the closed collection.
    fn colleague(&self) -> User<'_> {
        self.app.user("acme", "bob", Role::Editor)
    }

    /// What must not be in the answer to a stranger, or to a colleague.
    fn secrets(&self, is_stranger: bool) -> Vec<&str> {
        let Owned { document, conversation, key, .. } = &self.closed;
        let mut secrets = vec![CLOSED, document, conversation, key];
        if is_stranger {
            let Owned { document, conversation, key, .. } = &self.inner;
            secrets.extend([INNER, document, conversation, key]);
        } else {
            // Of what is open to all, only what was said and who may speak is ada's own.
            secrets.extend([self.inner.conversation.as_str(), self.inner.key.as_str()]);
        }
        secrets
    }

    /// Nothing is in the answer that whoever asked did not say themselves.
    #[track_caller]
    fn assert_silent(&self, is_stranger: bool, asked: &str, heard: &Heard) {
        for secret in self.secrets(is_stranger) {
            assert!(asked.contains(secret) || !heard.text.contains(secret), "{asked}: {secret} is in {}", heard.text);
        }
    }

    /// Asks, and looks at the answer.
    async fn try_it(&self, is_stranger: bool, trick: &Trick<'_>, status: u16) {
        let who = if is_stranger { self.stranger() } else { self.colleague() };
        let (method, path, body, ..) = trick;
        let heard = hear(&who, method, path, body).await;
        let asked = format!("{method} {path} {body}");
        assert_eq!(heard.status, status, "{asked}: {}", heard.text);
        self.assert_silent(is_stranger, &asked, &heard);
    }
}

async fn owner_of_platform(app: &TestApp) {
    let operator = app.user("platform", "eva", Role::Operator);
    operator.put("/tenants/acme", json!({ "name": format!("Acme {INNER}") })).await.expect(200);
}

/// What is asked, and the status that a stranger and a colleague get.
type Trick<'a> = (&'a str, String, Value, u16, u16);

/// Every place that takes an id, with somebody else's in it.
fn tricks(owned: &Owned) -> Vec<Trick<'static>> {
    let Owned { document, conversation, key, user } = owned;
    let in_document = |rest: &str| format!("/documents/{document}{rest}");
    let talk = format!("/conversations/{conversation}");
    let search = |more: Value| {
        let mut body = json!({ "query": QUESTION });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let announcement = |more: Value| {
        let mut body = json!({ "filename": "x.md", "content_type": "text/markdown", "size_bytes": 5 });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let chat = |more: Value| {
        let mut body = json!({ "message": QUESTION });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let to = |path: &str| path.to_owned();
    let nothing = Value::Null;
    vec![
        ("GET", in_document(""), nothing.clone(), 404, 404),
        ("GET", in_document("?limit=1"), nothing.clone(), 404, 404),
        ("GET", in_document("/chunks"), nothing.clone(), 404, 404),
        ("GET", in_document("/content"), nothing.clone(), 404, 404),
        ("PATCH", in_document(""), json!({ "filename": "x.md" }), 404, 404),
        ("PATCH", in_document(""), json!({ "metadata": { "a": "b" } }), 404, 404),
        ("PATCH", in_document(""), json!({ "collection": "default" }), 404, 404),
        ("GET", in_document("/text"), nothing.clone(), 404, 404),
        ("GET", in_document("/text?start=0&end=9"), nothing.clone(), 404, 404),
        ("GET", in_document("/purge"), nothing.clone(), 404, 403),
        ("POST", to("/documents/upload"), announcement(json!({ "document_id": document })), 400, 400),
        ("POST", to("/documents/upload"), announcement(json!({ "collection": "board" })), 400, 400),
        ("DELETE", in_document(""), nothing.clone(), 404, 404),
        ("GET", to("/documents"), nothing.clone(), 200, 200),
        ("GET", to("/documents?collection=board"), nothing.clone(), 200, 200),
        ("GET", to("/documents?collection=board&status=ready&limit=1"), nothing.clone(), 200, 200),
        ("GET", to("/documents?tenant=acme"), nothing.clone(), 400, 400),
        ("GET", to("/collections"), nothing.clone(), 200, 200),
        ("PUT", to("/collections/board"), json!({}), 200, 403),
        ("DELETE", to("/collections/board"), nothing.clone(), 202, 403),
        ("POST", to("/search"), search(json!({})), 200, 200),
        ("POST", to("/search"), search(json!({ "mode": "semantic", "limit": 100 })), 200, 200),
        ("POST", to("/search"), search(json!({ "collections": ["board"] })), 400, 400),
        ("POST", to("/search"), search(json!({ "collections": ["default", "board"] })), 400, 400),
        ("POST", to("/search"), search(json!({ "document_ids": [document] })), 400, 400),
        ("POST", to("/search"), search(json!({ "collections": ["default"], "document_ids": [document] })), 400, 400),
        ("POST", to("/search"), search(json!({ "tenant": "acme" })), 400, 400),
        ("POST", to("/chat"), chat(json!({ "stream": false })), 200, 200),
        ("POST", to("/chat"), chat(json!({ "stream": true })), 200, 200),
        ("POST", to("/chat"), chat(json!({ "collections": ["board"] })), 400, 400),
        ("POST", to("/chat"), chat(json!({ "conversation_id": conversation })), 404, 404),
        ("POST", to("/chat"), chat(json!({ "document_ids": [document] })), 400, 400),
        ("GET", to("/conversations"), nothing.clone(), 200, 200),
        ("GET", talk.clone(), nothing.clone(), 404, 404),
        ("DELETE", talk, nothing.clone(), 404, 404),
        ("GET", to("/keys"), nothing.clone(), 200, 200),
        ("DELETE", format!("/keys/{key}"), nothing.clone(), 404, 404),
        ("POST", to("/keys"), json!({ "name": "x", "collections": ["board"] }), 400, 400),
        ("POST", to("/keys"), json!({ "name": "x", "tenant": "acme" }), 400, 400),
        ("GET", to("/users/me"), nothing.clone(), 200, 200),
        ("GET", to("/users"), nothing.clone(), 200, 403),
        ("GET", format!("/users/{user}"), nothing.clone(), 404, 403),
        ("DELETE", format!("/users/{user}"), nothing.clone(), 404, 403),
        ("PUT", format!("/users/{user}"), json!({ "role": "viewer" }), 201, 403),
        (
            "PUT",
            to("/users/bob"),
            json!({ "role": "viewer", "collections": [{ "id": "board", "role": "viewer" }] }),
            400,
            403,
        ),
        ("GET", to("/audit"), nothing.clone(), 200, 403),
        ("GET", to("/usage"), nothing.clone(), 200, 403),
        ("GET", to("/tenants/acme"), nothing, 403, 403),
        ("PUT", to("/tenants/acme"), json!({ "plan": "standard" }), 403, 403),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_somebody_else_is_as_good_as_none_wherever_it_is_put() {
    let scene = Scene::begin().await;
    for trick in tricks(&scene.closed) {
        scene.try_it(false, &trick, trick.4).await;
    }
    // Strangers remove a collection of their own by the way, after which the same id names nothing of theirs.
    for (round, owned) in [&scene.closed, &scene.inner].into_iter().enumerate() {
        for trick in tricks(owned) {
            let status = match (round, trick.0, trick.1.as_str()) {
                (1, "PUT" | "DELETE", "/collections/board") => continue,
                _ => trick.3,
            };
            scene.try_it(true, &trick, status).await;
        }
    }
    // Nothing came of it all.
    let ada = scene.app.ada();
    for (owned, word) in [(&scene.closed, CLOSED), (&scene.inner, INNER)] {
        let document = ada.get(&format!("/documents/{}", owned.document)).await.expect(200).body;
        let described = (&document["filename"], &document["metadata"]["code"], &document["status"]);
        assert_eq!(described, (&json!(format!("{word}.md")), &json!(word), &json!("ready")));
        ada.get(&format!("/conversations/{}", owned.conversation)).await.expect(200);
        let keys = ada.get("/keys").await.expect(200).body;
        assert!(keys.to_string().contains(&owned.key));
        scene.app.user("acme", "olga", Role::Owner).get(&format!("/users/{}", owned.user)).await.expect(200);
    }
    scene.app.stop().await;
}

/// A list whose first page has another after it.
fn lists(owned: &Owned) -> Vec<String> {
    let Owned { document, conversation, .. } = owned;
    [
        "/documents?limit=1",
        "/documents?status=ready&limit=1",
        "/conversations?limit=1",
        "/users?limit=1",
        "/audit?limit=1",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([format!("/documents/{document}/chunks?limit=1"), format!("/conversations/{conversation}?limit=1")])
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_who_got_it_and_for_its_list_only() {
    let scene = Scene::begin().await;
    let (ada, owner) = (scene.app.ada(), scene.app.user("acme", "olga", Role::Owner));
    let lists = lists(&scene.closed);
    let mut cursors = Vec::new();
    for list in &lists {
        let insider = if list.starts_with("/users") || list.starts_with("/audit") { &owner } else { &ada };
        let page = insider.get(list).await.expect(200).body;
        let cursor = page["next_cursor"].as_str().unwrap_or_else(|| panic!("{list} has one page only")).to_owned();
        insider.get(&format!("{list}&cursor={cursor}")).await.expect(200);
        cursors.push((list, cursor));
    }
    for (of, cursor) in &cursors {
        for list in &lists {
            let path = format!("{list}&cursor={cursor}");
            for (is_stranger, who) in [(true, scene.stranger()), (false, scene.colleague())] {
                let heard = hear(&who, "GET", &path, &Value::Null).await;
                assert!([400, 403, 404].contains(&heard.status), "{path}: {}", heard.text);
                scene.assert_silent(is_stranger, &path, &heard);
            }
            if of != &list && !(list.starts_with("/users") || list.starts_with("/audit")) {
                ada.get(&path).await.expect(400);
            }
        }
        // The key of the next entry is not for anybody to choose.
        let mut bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap();
        for place in [0, bytes.len() / 2, bytes.len() - 1] {
            bytes[place] ^= 1;
            let altered = URL_SAFE_NO_PAD.encode(&bytes);
            bytes[place] ^= 1;
            owner.get(&format!("{of}&cursor={altered}")).await.expect(if of.contains("conversations/") {
                404
            } else {
                400
            });
        }
    }
    scene.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cached_for_one_is_not_there_for_others() {
    let scene = Scene::begin().await;
    let (ada, owner) = (scene.app.ada(), scene.app.user("acme", "olga", Role::Owner));
    let document = format!("/documents/{}", scene.closed.document);
    let search = json!({ "query": QUESTION });
    let nothing = Value::Null;
    let asks = [
        ("GET", "/documents", &nothing, 200),
        ("GET", "/documents?limit=100", &nothing, 200),
        ("GET", "/documents?collection=board", &nothing, 200),
        ("GET", &document, &nothing, 404),
        ("GET", &format!("{document}/chunks"), &nothing, 404),
        ("GET", "/collections", &nothing, 200),
        ("GET", "/users/me", &nothing, 200),
        ("POST", "/search", &search, 200),
        ("POST", "/search", &json!({ "query": QUESTION, "collections": ["board"] }), 0),
        ("POST", "/search", &json!({ "query": QUESTION, "document_ids": [scene.closed.document] }), 400),
    ];
    for (method, path, body, status) in asks {
        let mut etags = Vec::new();
        for insider in [&ada, &owner] {
            for _ in 0..2 {
                let warm = hear(insider, method, path, body).await;
                assert_eq!(warm.status, 200, "{path}: {}", warm.text);
                etags.push(warm.etag);
            }
        }
        let etags = etags.join(", ");
        for is_stranger in [true, false] {
            for with in [None, Some(etags.as_str())] {
                let who = if is_stranger { scene.stranger() } else { scene.colleague() };
                let who = with.into_iter().fold(who, |who, etags| who.with("if-none-match", etags));
                let heard = hear(&who, method, path, body).await;
                let asked = format!("{method} {path} {body}");
                // A stranger has a collection by this name, too.
                let expected = if status == 0 { if is_stranger { 200 } else { 400 } } else { status };
                assert_eq!(heard.status, expected, "{asked}: {}", heard.text);
                scene.assert_silent(is_stranger, &asked, &heard);
            }
        }
    }
    scene.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_with_the_same_limits_share_no_answers_if_their_makers_may_not() {
    let scene = Scene::begin().await;
    let make = json!({ "name": "reader" });
    let owner = scene.app.user("acme", "olga", Role::Owner);
    let theirs = owner.post("/keys", make.clone()).await.expect(201).body;
    let own = scene.colleague().post("/keys", make).await.expect(201).body;
    let (theirs, own) = (theirs["key"].as_str().unwrap(), own["key"].as_str().unwrap());
    let (theirs, own) = (scene.app.bearer(theirs), scene.app.bearer(own));
    let document = format!("/documents/{}", scene.closed.document);
    let search = json!({ "query": QUESTION });
    for (method, path, body, status) in [
        ("GET", "/documents", &Value::Null, 200),
        ("GET", &document, &Value::Null, 404),
        ("GET", &format!("{document}/chunks"), &Value::Null, 404),
        ("GET", "/collections", &Value::Null, 200),
        ("POST", "/search", &search, 200),
    ] {
        for _ in 0..2 {
            let warm = hear(&theirs, method, path, body).await;
            assert!(warm.status == 200 && warm.text.contains(CLOSED), "{path}: {}", warm.text);
        }
        let heard = hear(&own, method, path, body).await;
        assert_eq!(heard.status, status, "{path}: {}", heard.text);
        scene.assert_silent(false, &format!("{method} {path} {body}"), &heard);
    }
    scene.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_gives_nobody_the_answer_of_somebody_else() {
    let scene = Scene::begin().await;
    let (same, bytes) = ("8e03978e-40d5-43dd-bc93-6894a57f9324", format!("The code of the safe is {CLOSED}."));
    let users = || {
        [
            scene.app.user("acme", "olga", Role::Owner),
            scene.stranger(),
            scene.app.user("globex", "ada", Role::Editor),
            scene.colleague(),
        ]
        .map(|user| user.with("idempotency-key", same))
    };
    let mut made: Vec<String> = Vec::new();
    for (n, user) in users().iter().enumerate() {
        let answer = user.post("/keys", json!({ "name": "robot" })).await.expect(201);
        assert!(!answer.headers.contains_key("idempotency-replayed"), "{n}");
        made.extend(["id", "key"].map(|field| answer.body[field].as_str().unwrap().to_owned()));
    }
    for (n, user) in users().iter().enumerate() {
        let again = user.post("/keys", json!({ "name": "robot" })).await.expect(201);
        assert_eq!(again.header("idempotency-replayed"), "true", "{n}");
        assert_eq!(
            (again.body["id"].as_str(), again.body["key"].as_str()),
            (Some(&*made[2 * n]), Some(&*made[2 * n + 1]))
        );
    }
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 8, "each has one of their own");

    let fields = [("collection", "board")];
    let mut documents = Vec::new();
    for (user, status) in users().iter().zip([202, 202, 200, 400]) {
        let answer = user.upload_with("safe.md", bytes.as_bytes(), &fields).await.expect(status);
        assert!(!answer.headers.contains_key("idempotency-replayed"));
        documents.push(answer.body["document"]["id"].clone());
    }
    assert_ne!(documents[0], documents[1]);
    assert_eq!(documents[1], documents[2], "the same bytes in the tenant of both");
    // A key of the same user is somebody else, too.
    let robot = scene.app.bearer(&scene.key_text).with("idempotency-key", same);
    robot.upload_with("safe.md", bytes.as_bytes(), &fields).await.expect(400);
    scene.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_elsewhere_are_no_duplicate() {
    let scene = Scene::begin().await;
    for (is_stranger, who) in [(true, scene.stranger()), (false, scene.colleague())] {
        for collection in ["default", "open"] {
            let answer = who.upload_with("x.md", scene.bytes.as_bytes(), &[("collection", collection)]).await;
            let answer = answer.expect(202);
            assert_eq!(answer.body["duplicate"], false);
            let text = answer.body.to_string();
            assert!(!text.contains(&scene.closed.document) && !text.contains(CLOSED), "{is_stranger}: {text}");
        }
    }
    let refused = scene.colleague().upload_with("x.md", scene.bytes.as_bytes(), &[("collection", "board")]).await;
    let unknown = scene.colleague().upload_with("x.md", scene.bytes.as_bytes(), &[("collection", "none")]).await;
    assert_eq!(refused.expect(400).body["errors"], unknown.expect(400).body["errors"]);
    // Who may read it is told.
    let fields = [("collection", "board")];
    let again = scene.app.ada().upload_with("x.md", scene.bytes.as_bytes(), &fields).await.expect(200);
    assert_eq!(again.body["document"]["id"], scene.closed.document);
    scene.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_an_original_is_good_as_it_was_made_and_for_its_time() {
    let scene = Scene::begin().await;
    let ada = scene.app.ada();
    let heard = hear(&ada, "GET", &format!("/documents/{}/content", scene.closed.document), &Value::Null).await;
    assert_eq!(heard.status, 302, "{}", heard.text);
    let url = heard.url;
    assert!(url.path().starts_with("/objects/acme/"), "{url}");
    let relative = behind_the_host(&url);
    // Whoever has it may use it: it is made for browsers, which follow it without a token.
    assert!(hear(&scene.app.nobody(), "GET", &relative, &Value::Null).await.text.contains(CLOSED));
    let of_foreign = format!("/documents/{}/content", scene.foreign);
    let of_foreign = hear(&scene.app.user("globex", "ada", Role::Editor), "GET", &of_foreign, &Value::Null).await.url;
    let signature = |url: &Url| url.query_pairs().find(|(name, _)| name == "signature").unwrap().1.into_owned();
    let (own, other) = (signature(&url), signature(&of_foreign));
    let expires = url.query_pairs().find(|(name, _)| name == "expires").unwrap().1.into_owned();
    let document = scene.closed.document.as_str();
    for altered in [
        relative.replace("/acme/", "/globex/"),
        relative.replace(document, &scene.inner.document),
        relative.replace(document, &document.to_lowercase()),
        relative.replace("/1?", "/2?"),
        relative.replace("/1?", "/1/?"),
        relative.replace(&expires, "9999999999"),
        relative.replace(&expires, &format!("0{expires}")),
        relative.replace(&own, &other),
        relative.replace(&own, &own[..own.len() - 1]),
        relative.replace(&own, &own[..4]),
        relative.replace(&own, ""),
        relative.replace("signature=", "signed="),
        relative.split('?').next().unwrap().to_owned(),
        format!("{relative}&expires=9999999999"),
        behind_the_host(&of_foreign).replace("/globex/", "/acme/").replace(&scene.foreign, document),
    ] {
        assert_ne!(altered, relative);
        for who in [scene.app.nobody(), scene.stranger(), scene.colleague()] {
            let heard = hear(&who, "GET", &altered, &Value::Null).await;
            assert!([403, 404].contains(&heard.status), "{altered}: {}", heard.text);
            scene.assert_silent(true, &altered, &heard);
        }
    }
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let late = hear(&scene.app.nobody(), "GET", &relative, &Value::Null).await;
    assert!(late.status == 403 && !late.text.contains("The code"), "{}", late.text);
    scene.app.stop().await;
}

fn behind_the_host(url: &Url) -> String {
    format!("{}?{}", url.path(), url.query().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_its_own_tenant_only_and_no_more_than_it_was_made_for() {
    let scene = Scene::begin().await;
    let robot = scene.app.bearer(&scene.key_text);
    let nothing = Value::Null;
    for (method, path, body, status) in [
        ("GET", format!("/documents/{}", scene.foreign), nothing.clone(), 404),
        ("GET", format!("/documents/{}", scene.closed.document), nothing.clone(), 404),
        ("GET", format!("/documents/{}/content", scene.closed.document), nothing.clone(), 404),
        ("DELETE", format!("/documents/{}", scene.closed.document), nothing.clone(), 404),
        ("GET", "/documents?collection=board".to_owned(), nothing.clone(), 200),
        ("GET", "/documents".to_owned(), nothing.clone(), 200),
        ("GET", "/collections".to_owned(), nothing.clone(), 200),
        ("POST", "/search".to_owned(), json!({ "query": QUESTION }), 200),
        ("POST", "/search".to_owned(), json!({ "query": QUESTION, "document_ids": [scene.closed.document] }), 400),
        ("POST", "/search".to_owned(), json!({ "query": QUESTION, "document_ids": [scene.foreign] }), 400),
        ("POST", "/search".to_owned(), json!({ "query": QUESTION, "collections": ["board"] }), 400),
        ("POST", "/chat".to_owned(), json!({ "message": QUESTION, "stream": false }), 200),
        ("GET", "/conversations".to_owned(), nothing.clone(), 200),
        ("GET", format!("/conversations/{}", scene.inner.conversation), nothing.clone(), 404),
        ("GET", "/keys".to_owned(), nothing.clone(), 200),
        ("DELETE", format!("/keys/{}", scene.closed.key), nothing.clone(), 404),
        ("POST", "/keys".to_owned(), json!({ "name": "child" }), 409),
        ("GET", "/users".to_owned(), nothing.clone(), 403),
        ("GET", "/tenants/acme".to_owned(), nothing.clone(), 403),
    ] {
        let heard = hear(&robot, method, &path, &body).await;
        let asked = format!("{method} {path} {body}");
        assert_eq!(heard.status, status, "{asked}: {}", heard.text);
        for secret in [CLOSED, &scene.closed.document, &scene.closed.key, &scene.foreign] {
            assert!(asked.contains(secret) || !heard.text.contains(secret), "{asked}: {secret} in {}", heard.text);
        }
    }
    scene.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_says_of_its_tenant_beside_the_credential_changes_nothing() {
    const CONTEXT: &str = r#"{"authorizer":{"tenant":"acme","user":"ada","role":"owner","expires_at":"9999999999"}}"#;
    let scene = Scene::begin().await;
    let voucher = r#"{"tenant":"acme","user":"olga","role":"owner","principalId":"acme/olga"}"#;
    for (name, value) in [
        ("x-tenant", "acme"),
        ("x-tenant-id", "acme"),
        ("tenant", "acme"),
        ("x-user", "ada"),
        ("x-role", "operator"),
        ("x-forwarded-for", "127.0.0.1, 10.0.0.1"),
        ("x-forwarded-host", "acme.example.com"),
        ("x-forwarded-user", "ada"),
        ("x-original-url", "/tenants/acme"),
        ("x-http-method-override", "DELETE"),
        ("forwarded", "for=127.0.0.1;host=acme.example.com"),
        ("x-amzn-request-context", CONTEXT),
        ("x-apigateway-event", CONTEXT),
        ("x-amzn-oidc-identity", "ada"),
        ("x-amzn-lambda-authorizer", voucher),
        ("authorizer", voucher),
        ("principalid", "acme/olga"),
        ("cookie", "tenant=acme; user=ada"),
    ] {
        let stranger = || scene.stranger().with(name, value);
        let me = stranger().get("/users/me").await.expect(200).body;
        assert_eq!((&me["tenant"]["id"], &me["role"]), (&json!("globex"), &json!("owner")), "{name}");
        for (method, path, body) in [
            ("GET", "/documents".to_owned(), Value::Null),
            ("GET", "/documents?limit=100".to_owned(), Value::Null),
            ("POST", "/search".to_owned(), json!({ "query": QUESTION })),
        ] {
            let heard = hear(&stranger(), method, &path, &body).await;
            assert_eq!(heard.status, 200, "{name}: {}", heard.text);
            scene.assert_silent(true, name, &heard);
        }
        stranger().get(&format!("/documents/{}", scene.inner.document)).await.expect(404);
        stranger().get("/tenants/acme").await.expect(403);
        scene.app.nobody().with(name, value).get("/documents").await.expect(401);
    }
    let context: Value = serde_json::from_str(CONTEXT).unwrap();
    for (method, path) in [("POST", "/search"), ("POST", "/chat"), ("POST", "/keys"), ("PATCH", "/users/me")] {
        for body in [
            json!({ "requestContext": context, "query": QUESTION, "message": QUESTION, "name": "x" }),
            json!({ "principal": { "tenant": "acme" } }),
            context.clone(),
        ] {
            hear(&scene.app.nobody(), method, path, &body).await.expect(401);
            hear(&scene.stranger(), method, path, &body).await.expect(400);
        }
    }
    let fields = [("tenant", "acme"), ("collection", "open")];
    let upload = scene.stranger().upload_with("x.md", scene.bytes.as_bytes(), &fields).await;
    assert_eq!(upload.status, 400, "{}", upload.body);
    scene.app.stop().await;
}

impl Heard {
    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}
