//! The routes for the clients of others: whose chats are whose, what is refused and in what words.

use reqwest::Method;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{Answer, TestApp, User};

use crate::flow::DUCKS;

const COMPLETIONS: &str = "/openai/v1/chat/completions";

fn message(text: &str) -> Value {
    json!({ "id": "u", "role": "user", "parts": [{ "type": "text", "text": text }] })
}

/// The chunks of an answer in the AI SDK's words.
async fn ask(user: &User<'_>, chat: &str, further: &Value) -> Vec<Value> {
    let mut body = json!({ "id": chat, "messages": [message("What do ducks eat?")] });
    body.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    let response = user.send(Method::POST, "/chat/ai-sdk", "application/json", body.to_string().into_bytes()).await;
    assert_eq!(response.status(), 200);
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("x-vercel-ai-ui-message-stream", "v1"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
    frames(&response.text().await.unwrap())
}

/// The data of the frames before the last, which says that it is.
fn frames(stream: &str) -> Vec<Value> {
    let frames = stream.strip_suffix("data: [DONE]\n\n").expect("the stream says that it ends");
    let data = frames.split_terminator("\n\n").map(|frame| frame.strip_prefix("data: ").unwrap());
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// The conversation that an answer belongs to.
fn conversation(chunks: &[Value]) -> String {
    chunks[0]["messageMetadata"]["conversation_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_one_conversation_of_one_caller() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.ada(), app.user("acme", "bob", Role::Editor));
    let (stranger, owner) = (app.user("other", "ada", Role::Editor), app.user("acme", "olga", Role::Owner));
    let key = owner.post("/keys", json!({ "name": "app", "role": "viewer" })).await.expect(201).body;
    let key = app.bearer(key["key"].as_str().unwrap());
    ada.ready("ducks.md", DUCKS).await;
    let chat = "a chat / ünïcode #1";
    let mut begun = Vec::new();
    for user in [&ada, &bob, &stranger, &owner, &key] {
        let first = conversation(&ask(user, chat, &json!({})).await);
        assert_eq!(conversation(&ask(user, chat, &json!({})).await), first, "it goes on");
        let messages = user.get(&format!("/conversations/{first}")).await.expect(200).body["messages"].clone();
        assert_eq!(messages.as_array().unwrap().len(), 4);
        begun.push(first);
    }
    begun.sort();
    begun.dedup();
    assert_eq!(begun.len(), 5, "none of them is another's");

    // The id of a conversation is a chat as well; that of another is the name of a new one.
    let id = conversation(&ask(&ada, chat, &json!({})).await);
    assert_eq!(conversation(&ask(&ada, &id, &json!({})).await), id);
    assert_ne!(conversation(&ask(&bob, &id, &json!({})).await), id);

    ada.delete(&format!("/conversations/{id}")).await.expect(204);
    let anew = conversation(&ask(&ada, chat, &json!({})).await);
    assert_ne!(anew, id, "what was deleted stays so");
    let messages = ada.get(&format!("/conversations/{anew}")).await.expect(200).body["messages"].clone();
    assert_eq!(messages.as_array().unwrap().len(), 2);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chats_that_begin_twice_at_once_are_one() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let further = json!({});
    let asked = futures::future::join_all((0..3).map(|_| ask(&ada, "at once", &further))).await;
    let first = conversation(&asked[0]);
    assert!(asked.iter().all(|chunks| conversation(chunks) == first));
    let messages = ada.get(&format!("/conversations/{first}")).await.expect(200).body["messages"].clone();
    assert_eq!(messages.as_array().unwrap().len(), 6);
    assert_eq!(ada.get("/conversations").await.expect(200).body["data"].as_array().unwrap().len(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_anew_takes_the_place_of_the_last_question_only() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let answer = |chunks: &[Value]| chunks[0]["messageId"].as_str().unwrap().to_owned();
    let first = ask(&ada, "chat", &json!({})).await;
    let second = ask(&ada, "chat", &json!({})).await;
    let shown = |id: &str| json!({ "id": id, "role": "assistant", "parts": [] });
    let anew = |messages: &[Value]| json!({ "messages": messages, "trigger": "regenerate-message", "id": "chat" });
    let stored = || async {
        let path = format!("/conversations/{}", conversation(&first));
        let messages = ada.get(&path).await.expect(200).body["messages"].clone();
        let said = messages.as_array().unwrap().iter().filter(|message| message["role"] == "user");
        said.map(|message| message["content"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };

    // It was never answered, so it is new here.
    let third = [message("one"), shown(&answer(&first)), message("two"), shown(&answer(&second)), message("three")];
    ask(&ada, "chat", &anew(&third)).await;
    assert_eq!(stored().await, ["What do ducks eat?", "What do ducks eat?", "three"]);
    // It was answered, whatever its user saw of that.
    ask(&ada, "chat", &anew(&third)).await;
    assert_eq!(stored().await, ["What do ducks eat?", "What do ducks eat?", "three"]);
    for (messages, status) in [
        (vec![message("one"), shown(&answer(&first)), message("else")], 409),
        (vec![message("one")], 409),
        (vec![message("one"), shown("01J9ZQ3W6V8Y0ABCDEFGHJKMNP"), message("else")], 409),
        (vec![message("one"), shown("else"), message("else")], 400),
    ] {
        ada.post("/chat/ai-sdk", anew(&messages)).await.expect(status);
    }
    assert_eq!(stored().await, ["What do ducks eat?", "What do ducks eat?", "three"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_is_idle_unknown_or_anothers_has_no_stream() {
    let app = TestApp::start().await;
    let ada = app.ada();
    ask(&ada, "chat", &json!({})).await;
    for user in [&ada, &app.user("acme", "bob", Role::Editor), &app.user("other", "ada", Role::Editor)] {
        for chat in ["chat", "unknown", "%2Fetc%2Fpasswd"] {
            user.get(&format!("/chat/ai-sdk/{chat}/stream")).await.expect(204);
        }
    }
    ada.get(&format!("/chat/ai-sdk/{}/stream", "x".repeat(257))).await.expect(404);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_cannot_be_read_stores_nothing() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let asked = [message("What do ducks eat?")];
    for (body, pointer) in [
        (json!({ "messages": asked }), "/"),
        (json!({ "id": "", "messages": asked }), "/id"),
        (json!({ "id": "x".repeat(257), "messages": asked }), "/id"),
        (json!({ "id": "1", "messages": [] }), "/messages"),
        (json!({ "id": "1", "messages": [message(" ")] }), "/messages/0/parts"),
        (json!({ "id": "1", "messages": [message(&"x".repeat(8_001))] }), "/messages/0/parts"),
        (json!({ "id": "1", "messages": asked, "trigger": "else" }), "/trigger"),
        (json!({ "id": "1", "messages": asked, "collections": ["none"] }), "/collections/0"),
    ] {
        let answer = ada.post("/chat/ai-sdk", body).await.expect(400);
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{}", answer.body);
    }
    let long = json!({ "id": "1", "messages": [message(&"x".repeat(2 * 1024 * 1024))] });
    ada.post("/chat/ai-sdk", long).await.expect(413);
    assert_eq!(ada.get("/conversations").await.expect(200).body["data"], json!([]));
    app.stop().await;
}

/// An answer to OpenAI's clients that is an error, with its type, code and parameter.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "it reads better where it is called")]
fn refused(answer: &Answer, status: u16, kind: &str, code: &str, param: Value) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/json");
    let error = &answer.body["error"];
    assert_eq!((&error["type"], &error["code"], &error["param"]), (&json!(kind), &json!(code), &param), "{error}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
}

fn completion(model: &str, further: Value) -> Value {
    let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": "What do ducks eat?" }] });
    if let Value::Object(further) = further {
        body.as_object_mut().unwrap().extend(further);
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn openais_clients_are_refused_in_their_words() {
    let app = TestApp::start_with(&[("LIMIT_USER_PER_MINUTE", "8")]).await;
    let ada = app.ada();
    let nobody = app.nobody().post(COMPLETIONS, completion("ragline", Value::Null)).await;
    refused(&nobody, 401, "authentication_error", "unauthenticated", Value::Null);
    assert_eq!(nobody.header("www-authenticate"), "Bearer");
    for model in ["gpt-9", "ragline/none", "ragline/", "raglines"] {
        let answer = ada.post(COMPLETIONS, completion(model, Value::Null)).await;
        refused(&answer, 404, "invalid_request_error", "model_not_found", json!("model"));
    }
    let tools = ada.post(COMPLETIONS, completion("ragline", json!({ "tools": [{ "type": "function" }] }))).await;
    refused(&tools, 400, "invalid_request_error", "invalid_request", json!("tools"));
    let typed =
        ada.post(COMPLETIONS, completion("ragline", json!({ "messages": [{ "role": "user", "content": 1 }] }))).await;
    refused(&typed, 400, "invalid_request_error", "invalid_request", json!("messages[0].content"));
    let kind = ada.send(Method::POST, COMPLETIONS, "text/plain", b"{}".to_vec()).await;
    assert_eq!(kind.status(), 415);
    assert_eq!(kind.json::<Value>().await.unwrap()["error"]["code"], "unsupported_media_type");
    let mut limited = ada.get("/openai/v1/models").await;
    for _ in 0..50 {
        if limited.status == 429 {
            break;
        }
        limited = ada.get("/openai/v1/models").await;
    }
    refused(&limited, 429, "rate_limit_error", "rate_limited", Value::Null);
    assert!(!limited.header("retry-after").is_empty());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_models_are_the_collections_that_the_caller_may_read() {
    let app = TestApp::start().await;
    let (olga, ada) = (app.user("acme", "olga", Role::Owner), app.ada());
    olga.put("/collections/open", json!({ "name": "Open" })).await.expect(200);
    olga.put("/collections/closed", json!({ "name": "Closed", "access": "members" })).await.expect(200);
    let models = |answer: Answer| -> Vec<String> {
        let data = answer.expect(200).body["data"].clone();
        data.as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = models(olga.get("/openai/v1/models").await);
    assert_eq!(all, ["ragline", "ragline/closed", "ragline/default", "ragline/open"]);
    assert_eq!(models(ada.get("/openai/v1/models").await), ["ragline", "ragline/default", "ragline/open"]);
    ada.post(COMPLETIONS, completion("ragline/closed", Value::Null)).await.expect(404);
    let stranger = app.user("other", "ada", Role::Editor);
    assert_eq!(models(stranger.get("/openai/v1/models").await), ["ragline", "ragline/default"]);

    olga.upload_with("ducks.md", DUCKS.as_bytes(), &[("collection", "closed")]).await.expect(202);
    let answer = ada.post(COMPLETIONS, completion("ragline", Value::Null)).await.expect(200).body;
    assert_eq!(answer["choices"][0]["message"]["annotations"], json!([]));
    assert_eq!(ada.get("/conversations").await.expect(200).body["data"], json!([]), "nothing is kept");
    app.stop().await;
}
