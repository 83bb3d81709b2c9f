//! A cursor is good for the list it came from, and for no other.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{TestApp, User};

use crate::flow::DUCKS;

/// The cursor of the second page.
async fn cursor(user: &User<'_>, list: &str) -> String {
    let page = user.get(&with(list, "limit=1")).await.expect(200).body;
    page["next_cursor"].as_str().unwrap_or_else(|| panic!("{list} has one page: {page}")).to_owned()
}

fn with(list: &str, parameter: &str) -> String {
    format!("{list}{}{parameter}", if list.contains('?') { '&' } else { '?' })
}

async fn follow(user: &User<'_>, list: &str, cursor: &str) -> u16 {
    let answer = user.get(&with(list, &format!("cursor={cursor}"))).await;
    if answer.status == 400 {
        assert_eq!(answer.body["errors"][0]["pointer"], "cursor", "{list}: {}", answer.body);
    }
    answer.status.as_u16()
}

/// Two conversations of two questions each; the ids.
async fn talk(user: &User<'_>) -> [String; 2] {
    let mut ids = Vec::new();
    for question in ["ducks?", "geese?"] {
        let first = user.post("/chat", json!({ "message": question, "stream": false })).await.expect(200).body;
        let again = json!({ "message": question, "conversation_id": first["conversation_id"], "stream": false });
        user.post("/chat", again).await.expect(200);
        ids.push(first["conversation_id"].as_str().unwrap().to_owned());
    }
    ids.try_into().unwrap()
}

/// Two documents in each of two collections, each with several passages; the ids of those in the first.
async fn fill(admin: &User<'_>) -> Vec<String> {
    let mut ids = Vec::new();
    for collection in ["a", "b"] {
        admin.call(Method::PUT, &format!("/collections/{collection}"), &json!({})).await.expect(200);
        for number in 0..2 {
            let text = format!("{DUCKS}\n\n# Part {collection}\n\nMore.\n\n# Part {number}\n\nThe end.");
            let fields = [("collection", collection)];
            let answer = admin.upload_with("ducks.md", text.as_bytes(), &fields).await.expect(202).body;
            let id = answer["document"]["id"].as_str().unwrap().to_owned();
            assert_eq!(admin.worked_off(&id).await["status"], "ready");
            if collection == "a" {
                ids.push(id);
            }
        }
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_list_user_or_tenant_is_refused_by_name() {
    let app = TestApp::start().await;
    let people = [
        app.user("acme", "ada", Role::Admin),
        app.user("acme", "bob", Role::Admin),
        app.user("other", "ada", Role::Admin),
    ];
    let documents = [fill(&people[0]).await, Vec::new(), fill(&people[2]).await];
    let mut cursors: Vec<(usize, String, String)> = Vec::new();
    for (number, person) in people.iter().enumerate() {
        // Bob sees Ada's documents, and has conversations of his own.
        let ids = if documents[number].is_empty() { &documents[0] } else { &documents[number] };
        let conversations = talk(person).await;
        let lists = [
            "/documents".to_owned(),
            "/documents?collection=a".to_owned(),
            "/documents?collection=b".to_owned(),
            "/documents?status=ready".to_owned(),
            "/documents?collection=a&status=ready".to_owned(),
            format!("/documents/{}/chunks", ids[0]),
            format!("/documents/{}/chunks", ids[1]),
            "/conversations".to_owned(),
            format!("/conversations/{}", conversations[0]),
            format!("/conversations/{}", conversations[1]),
        ];
        for list in lists {
            let cursor = cursor(person, &list).await;
            cursors.push((number, list, cursor));
        }
    }

    // The lists of a tenant are the same for each of its users but for the conversations.
    let is_shared = |list: &str| list.starts_with("/documents");
    let tenant = |person: usize| person / 2;
    let (mut taken, mut refused) = (0, 0);
    for (reader, list, _) in &cursors {
        for (maker, from, cursor) in &cursors {
            let is_own = list == from && (reader == maker || is_shared(list) && tenant(*reader) == tenant(*maker));
            let status = follow(&people[*reader], list, cursor).await;
            assert_eq!(status, if is_own { 200 } else { 400 }, "{reader} reads {list} with that of {maker} of {from}");
            if is_own { taken += 1 } else { refused += 1 }
        }
    }
    assert_eq!((taken, refused), (30 + 2 * 7, 900 - 44));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_cursor_is_refused_and_the_same_place_has_the_same_cursor() {
    let app = TestApp::start().await;
    let ada = app.ada();
    for number in 0..3 {
        ada.upload(&format!("{number}.txt"), format!("Text number {number}.")).await;
    }
    let cursor = cursor(&ada, "/documents").await;
    assert_eq!(follow(&ada, "/documents", &cursor).await, 200);
    let mut tried = BTreeSet::new();
    for place in 0..cursor.len() {
        let mut altered = cursor.clone().into_bytes();
        altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
        tried.insert(String::from_utf8(altered).unwrap());
    }
    for length in [0, 1, 42, 43, cursor.len() - 1] {
        tried.insert(cursor[..length].to_owned());
    }
    tried.insert(format!("{cursor}A"));
    // What a cursor was before it was signed: the place alone.
    tried.insert("RE9DIzAxSjlaUTNXNlY4WTBBQkNERUZHSEpLTU5Q".to_owned());
    for altered in tried {
        assert_eq!(follow(&ada, "/documents", &altered).await, 400, "{altered}");
    }
    // Or the cache would keep each page but the first once for everybody.
    let anew = ada.with("cache-control", "no-cache").get("/documents?limit=1").await.expect(200).body;
    assert_eq!(anew["next_cursor"], Value::from(cursor));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_put_together_are_the_list_and_the_last_has_no_cursor() {
    let app = TestApp::start().await;
    let admin = app.user("acme", "ada", Role::Admin);
    let documents = fill(&admin).await;
    let conversations = talk(&admin).await;
    let lists = [
        ("/documents".to_owned(), "data"),
        ("/documents?collection=a&status=ready".to_owned(), "data"),
        (format!("/documents/{}/chunks", documents[0]), "data"),
        ("/conversations".to_owned(), "data"),
        (format!("/conversations/{}", conversations[0]), "messages"),
    ];
    for (list, member) in lists {
        let whole = admin.get(&with(&list, "limit=100")).await.expect(200).body;
        assert_eq!(whole["next_cursor"], Value::Null, "{list}");
        let whole = whole[member].as_array().unwrap();
        for limit in 1..=whole.len() {
            let (mut pages, mut path) = (Vec::new(), with(&list, &format!("limit={limit}")));
            loop {
                let page = admin.get(&path).await.expect(200).body;
                let entries = page[member].as_array().unwrap();
                assert!((1..=limit).contains(&entries.len()), "{path}: no page is empty");
                pages.extend(entries.iter().cloned());
                let Some(next) = page["next_cursor"].as_str() else { break };
                path = with(&list, &format!("limit={limit}&cursor={next}"));
            }
            assert_eq!(&pages, whole, "{list} by {limit}");
        }
    }
    app.stop().await;
}
