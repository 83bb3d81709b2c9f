//! Who may do what: every operation of the description, asked by everybody.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::description::{self, Operation};
use tests::{TestApp, User};

use self::Body::{Form, Json, Nothing};
use self::Kind::{Answer, Collection, Conversation, Document, Key, Member, Ready, Removed, Tenant, Webhook};

/// Stands in everything that the tenant owns.
const SECRET: &str = "blubberwort";
/// The only tenant that has operators; see `JWT_OPERATOR_TENANT`.
const TENANT: &str = "platform";
const ROLES: [Role; 5] = [Role::Viewer, Role::Editor, Role::Admin, Role::Owner, Role::Operator];

/// What an id in a path names.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// An answer that was made.
    Answer,
    Collection,
    Conversation,
    Document,
    Key,
    Member,
    /// A document that is ready.
    Ready,
    /// A document that was deleted.
    Removed,
    Tenant,
    Webhook,
}

/// What is sent.
#[derive(Clone, Copy)]
enum Body {
    Nothing,
    Json(&'static str),
    /// An upload.
    Form,
}

/// How an operation is tried.
struct Try {
    method: &'static str,
    path: &'static str,
    id: Option<Kind>,
    body: Body,
    /// What those hear who may.
    allowed: u16,
    /// What an owner of another tenant hears who names this tenant's ids.
    foreign: u16,
}

const fn ask(
    method: &'static str,
    path: &'static str,
    id: Option<Kind>,
    body: Body,
    (allowed, foreign): (u16, u16),
) -> Try {
    Try { method, path, id, body, allowed, foreign }
}

const NEW_NAME: Body = Json(r#"{"name": "Another"}"#);
const UI_CHAT: Body = Json(
    r#"{"id": "chat 1", "messages": [{"role": "user", "parts": [{"type": "text", "text": "What is the secret?"}]}]}"#,
);
const COMPLETION: Body =
    Json(r#"{"model": "ragline", "messages": [{"role": "user", "content": "What is the secret?"}]}"#);
const TRIES: [Try; 48] = [
    ask("GET", "/health", None, Nothing, (200, 200)),
    ask("GET", "/health/ready", None, Nothing, (200, 200)),
    ask("GET", "/openapi.json", None, Nothing, (200, 200)),
    ask("POST", "/documents/upload", None, Form, (202, 202)),
    ask("GET", "/documents", None, Nothing, (200, 200)),
    ask("GET", "/documents/{id}", Some(Document), Nothing, (200, 404)),
    ask("GET", "/documents/{id}/chunks", Some(Document), Nothing, (200, 404)),
    ask("GET", "/documents/{id}/content", Some(Document), Nothing, (302, 404)),
    ask("GET", "/documents/{id}/text", Some(Ready), Nothing, (200, 404)),
    ask("GET", "/documents/{id}/purge", Some(Removed), Nothing, (200, 404)),
    ask("PATCH", "/documents/{id}", Some(Document), Json(r#"{"filename": "x.txt"}"#), (200, 404)),
    ask("DELETE", "/documents/{id}", Some(Document), Nothing, (202, 404)),
    ask("GET", "/collections", None, Nothing, (200, 200)),
    // Who names a collection or a user to be made makes one in the own tenant.
    ask("PUT", "/collections/{id}", Some(Collection), NEW_NAME, (200, 200)),
    ask("DELETE", "/collections/{id}", Some(Collection), Nothing, (202, 404)),
    ask("POST", "/search", None, Json(r#"{"query": "What is the secret?"}"#), (200, 200)),
    ask("POST", "/chat", None, Json(r#"{"message": "What is the secret?", "stream": false}"#), (200, 200)),
    ask("GET", "/chat/{id}/stream", Some(Answer), Nothing, (200, 404)),
    ask("POST", "/chat/{id}/stop", Some(Answer), Nothing, (202, 404)),
    ask("POST", "/chat/ai-sdk", None, UI_CHAT, (200, 200)),
    // Nothing is being made there, for the caller too.
    ask("GET", "/chat/ai-sdk/{id}/stream", Some(Conversation), Nothing, (204, 204)),
    ask("POST", "/openai/v1/chat/completions", None, COMPLETION, (200, 200)),
    ask("GET", "/openai/v1/models", None, Nothing, (200, 200)),
    ask("GET", "/conversations", None, Nothing, (200, 200)),
    ask("GET", "/conversations/{id}", Some(Conversation), Nothing, (200, 404)),
    ask("PATCH", "/conversations/{id}", Some(Conversation), Json(r#"{"title": "Another"}"#), (200, 404)),
    ask("POST", "/conversations/{id}/regenerate", Some(Conversation), Json(r#"{"stream": false}"#), (200, 404)),
    ask(
        "POST",
        "/conversations/{id}/edit",
        Some(Conversation),
        Json(r#"{"message": "What swims?", "stream": false}"#),
        (200, 404),
    ),
    ask("DELETE", "/conversations/{id}", Some(Conversation), Nothing, (204, 404)),
    ask("GET", "/users/me", None, Nothing, (200, 200)),
    ask("PATCH", "/users/me", None, NEW_NAME, (200, 200)),
    ask("GET", "/users", None, Nothing, (200, 200)),
    ask("GET", "/users/{id}", Some(Member), Nothing, (200, 404)),
    ask("PUT", "/users/{id}", Some(Member), Json(r#"{"role": "editor"}"#), (200, 201)),
    ask("DELETE", "/users/{id}", Some(Member), Nothing, (204, 404)),
    ask("GET", "/keys", None, Nothing, (200, 200)),
    ask("POST", "/keys", None, NEW_NAME, (201, 201)),
    ask("DELETE", "/keys/{id}", Some(Key), Nothing, (204, 404)),
    ask("GET", "/webhooks", None, Nothing, (200, 200)),
    ask("GET", "/webhooks/{id}", Some(Webhook), Nothing, (200, 404)),
    ask("PUT", "/webhooks/{id}", Some(Webhook), Json(r#"{"url": "https://example.com/"}"#), (200, 201)),
    ask("DELETE", "/webhooks/{id}", Some(Webhook), Nothing, (204, 404)),
    ask("GET", "/webhooks/{id}/deliveries", Some(Webhook), Nothing, (200, 404)),
    ask("POST", "/webhooks/{id}/test", Some(Webhook), Nothing, (202, 404)),
    ask("GET", "/usage", None, Nothing, (200, 200)),
    ask("GET", "/audit", None, Nothing, (200, 200)),
    // Operators are of one tenant.
    ask("GET", "/tenants/{id}", Some(Tenant), Nothing, (200, 403)),
    ask("PUT", "/tenants/{id}", Some(Tenant), NEW_NAME, (200, 403)),
];

/// Each operation with how it is tried.
fn tries() -> Vec<(Operation, &'static Try)> {
    let find = |operation: Operation| {
        let found = TRIES.iter().find(|each| (each.method, each.path) == (&operation.method, &operation.path));
        found.map(|each| (operation, each))
    };
    description::operations().into_iter().filter_map(find).collect()
}

/// The lowest role that an operation lets in; none if it lets in anyone.
fn lowest_role(operation: &Operation) -> Option<Role> {
    match operation.lowest_role.as_str() {
        "anyone" => None,
        role => Some(role.parse().unwrap_or_else(|()| panic!("{operation:?}"))),
    }
}

/// Something new of this kind: in its tenant, and the caller's own where it must be somebody's.
async fn made(owner: &User<'_>, caller: &User<'_>, kind: Kind, number: usize) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    match kind {
        Document => owner.upload(&format!("{SECRET}-{number}.txt"), format!("The secret is {SECRET} {number}.")).await,
        Ready => {
            let content = format!("The secret is {SECRET}, and is ready {number}.");
            text(&owner.ready(&format!("{SECRET}-{number}.txt"), content).await["id"])
        }
        Removed => {
            let id =
                owner.upload(&format!("{SECRET}-{number}.txt"), format!("The secret was {SECRET} {number}.")).await;
            owner.delete(&format!("/documents/{id}")).await.expect(202);
            id
        }
        Collection => {
            let id = format!("collection-{number}");
            owner.put(&format!("/collections/{id}"), json!({ "name": SECRET })).await.expect(200);
            id
        }
        Conversation => {
            let question = json!({ "message": format!("{SECRET}?"), "stream": false });
            text(&caller.post("/chat", question).await.expect(200).body["conversation_id"])
        }
        Answer => {
            let question = json!({ "message": format!("{SECRET}?"), "stream": false });
            text(&caller.post("/chat", question).await.expect(200).body["message_id"])
        }
        Key => text(&caller.post("/keys", json!({ "name": SECRET })).await.expect(201).body["id"]),
        Member => {
            let id = format!("member-{number}");
            let body = json!({ "role": "viewer", "name": SECRET, "email": format!("{SECRET}@example.com") });
            owner.put(&format!("/users/{id}"), body).await.expect(201);
            id
        }
        Tenant => TENANT.to_owned(),
        Webhook => {
            // A tenant may have few.
            owner.delete(&format!("/webhooks/hook-{}", number - 1)).await;
            let id = format!("hook-{number}");
            // Nobody listens there.
            let body = json!({ "url": format!("https://127.0.0.1:9/{SECRET}") });
            owner.put(&format!("/webhooks/{id}"), body).await.expect(201);
            id
        }
    }
}

async fn tried(user: &User<'_>, each: &Try, id: &str) -> (StatusCode, http::HeaderMap, String) {
    let path = each.path.replace("{id}", id);
    let (kind, body) = match each.body {
        Nothing => ("", Vec::new()),
        Json(body) => ("application/json", body.as_bytes().to_vec()),
        Form => {
            let body =
                "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nDucks.\r\n--b--\r\n";
            ("multipart/form-data; boundary=b", body.as_bytes().to_vec())
        }
    };
    let answer = user.send(each.method.parse().unwrap(), &path, kind, body).await;
    (answer.status(), answer.headers().clone(), answer.text().await.unwrap())
}

#[test]
fn each_operation_is_tried_here() {
    let described: BTreeSet<_> = description::operations().into_iter().map(|each| (each.method, each.path)).collect();
    let tried: BTreeSet<_> = TRIES.iter().map(|each| (each.method.to_owned(), each.path.to_owned())).collect();
    assert_eq!(described.difference(&tried).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "are not tried");
    assert_eq!(tried.difference(&described).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "do not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_and_who_shows_a_broken_token_get_nothing() {
    let app = TestApp::start().await;
    let token = app.token(TENANT, "owner", Role::Owner);
    let (front, signature) = token.rsplit_once('.').unwrap();
    let broken = format!("{front}.{}", signature.chars().rev().collect::<String>());
    for (operation, each) in tries() {
        for who in [app.nobody(), app.bearer(&broken)] {
            let (status, headers, text) = tried(&who, each, "01J9ZQ3W6V8Y0ABCDEFGHJKMNP").await;
            if lowest_role(&operation).is_none() {
                assert_eq!(status, each.allowed, "{operation:?}: {text}");
            } else {
                assert_eq!(
                    (status, &headers["www-authenticate"]),
                    (StatusCode::UNAUTHORIZED, &"Bearer".parse().unwrap())
                );
                assert!(text.contains("\"unauthenticated\""), "{operation:?}: {text}");
            }
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_what_the_description_says_and_no_more() {
    let app = TestApp::start().await;
    let owner = app.user(TENANT, "olga", Role::Owner);
    let mut number = 0;
    for (operation, each) in tries() {
        for role in ROLES {
            number += 1;
            // A user of its own for each, since some change who asks.
            let caller = app.user(TENANT, &format!("{}-{number}", role.as_str()), role);
            let id = match each.id {
                Some(kind) => made(&owner, &caller, kind, number).await,
                None => String::new(),
            };
            let (status, _, text) = tried(&caller, each, &id).await;
            let may = lowest_role(&operation).is_none_or(|lowest| role >= lowest);
            // The same bytes are uploaded by several.
            let again = may && matches!(each.body, Form) && status == StatusCode::OK;
            assert!(again || status == if may { each.allowed } else { 403 }, "{role:?} {operation:?}: {status} {text}");
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_ids_are_not_found_and_no_byte_of_it_is_seen() {
    let app = TestApp::start().await;
    let (owner, stranger) = (app.user(TENANT, "olga", Role::Owner), app.user("other", "olga", Role::Owner));
    owner.ready(&format!("{SECRET}.txt"), format!("The secret is {SECRET}.")).await;
    for (number, (operation, each)) in tries().into_iter().enumerate() {
        let id = match each.id {
            Some(kind) => made(&owner, &owner, kind, number).await,
            None => String::new(),
        };
        if each.id == Some(Document) {
            owner.worked_off(&id).await;
        }
        let before = owned(&owner, each.id, &id).await;
        let (status, headers, text) = tried(&stranger, each, &id).await;
        assert_eq!(status, each.foreign, "{operation:?}: {text}");
        assert!(!text.contains(SECRET) && !format!("{headers:?}").contains(SECRET), "{operation:?}: {text}");
        assert_eq!(owned(&owner, each.id, &id).await, before, "{operation:?} changed what is another tenant's");
    }
    app.stop().await;
}

/// What the owner sees of something.
async fn owned(owner: &User<'_>, kind: Option<Kind>, id: &str) -> Value {
    let list = match kind {
        Some(Document | Ready) => return owner.get(&format!("/documents/{id}")).await.expect(200).body,
        Some(Conversation) => return owner.get(&format!("/conversations/{id}")).await.expect(200).body,
        Some(Member) => return owner.get(&format!("/users/{id}")).await.expect(200).body,
        Some(Collection) => "/collections",
        Some(Key) => "/keys",
        Some(Webhook) => "/webhooks",
        Some(Answer | Removed | Tenant) | None => return Value::Null,
    };
    let list = owner.get(list).await.expect(200).body;
    list["data"].as_array().unwrap().iter().find(|each| each["id"] == id).cloned().expect("it is there")
}
