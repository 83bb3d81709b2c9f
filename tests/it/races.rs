//! Deleting and replacing at any moment of a document's life, and searching at once.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::{TestApp, User};

/// Documents that are deleted or replaced.
const ROUNDS: usize = 500;
/// Who owns them.
const TENANTS: usize = 25;
/// Rounds at a time.
const SIDE_BY_SIDE: usize = 6;

/// A document that only one word finds.
fn content(number: usize, version: u32) -> String {
    let part = |n: usize| format!("## Part {n}\n\nThe word{number}x of version {version} stands in part {n}.\n\n");
    format!("# Report {number}\n\n{}", (0..4).map(part).collect::<String>())
}

/// What a search finds of a document, which may be told of it.
async fn hits(user: &User<'_>, number: usize, id: &str, told: bool) -> Vec<Value> {
    let document_ids: &[&str] = if told { &[id] } else { &[] };
    let query = json!({ "query": format!("word{number}x"), "limit": 100, "document_ids": document_ids });
    let found = user.post("/search", query).await.expect(200).body["data"].as_array().unwrap().clone();
    found.into_iter().filter(|hit| hit["document_id"] == id).collect()
}

fn all_of_version(hits: &[Value], id: &str, version: u64) -> bool {
    hits.iter().all(|hit| hit["chunk_id"].as_str().unwrap().starts_with(&format!("{id}-{version}-")))
}

async fn document(user: &User<'_>, id: &str) -> Value {
    user.get(&format!("/documents/{id}")).await.expect(200).body
}

/// Deleted while it is worked on, or when it is ready: no search that begins after the answer finds it.
async fn delete(user: &User<'_>, number: usize, wait: Duration) -> String {
    let id = user.upload("report.md", content(number, 1)).await;
    if number.is_multiple_of(4) {
        user.worked_off(&id).await;
    } else {
        tokio::time::sleep(wait).await;
    }
    user.delete(&format!("/documents/{id}")).await.expect(202);
    assert_eq!(hits(user, number, &id, false).await, Vec::<Value>::new(), "{number} was deleted");
    user.get(&format!("/documents/{id}")).await.expect(404);
    id
}

/// Replaced while it is worked on, or when it is ready: what a search finds is of one version, and of the new one in the end.
async fn replace(user: &User<'_>, number: usize, wait: Duration) -> String {
    let id = user.upload("report.md", content(number, 1)).await;
    if number.is_multiple_of(4) {
        user.worked_off(&id).await;
    } else {
        tokio::time::sleep(wait).await;
    }
    let fields = [("document_id", id.as_str())];
    user.upload_with("report.md", content(number, 2).as_bytes(), &fields).await.expect(202);
    for attempt in 0.. {
        let before = document(user, &id).await;
        let found = hits(user, number, &id, true).await;
        if before["served_version"] == 2 {
            assert!(found.len() == 4 && all_of_version(&found, &id, 2), "{number}: {found:?}");
            assert_eq!(before["status"], "ready");
            let again = hits(user, number, &id, true).await;
            assert!(again.len() == 4 && all_of_version(&again, &id, 2), "{number}: {again:?}");
            return id;
        }
        assert!(
            all_of_version(&found, &id, 1) || all_of_version(&found, &id, 2),
            "{number}: of two versions: {found:?}"
        );
        assert_ne!(before["status"], "failed", "{before}");
        assert!(attempt < 3_000, "{before}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_comes_from_what_was_deleted_or_replaced_and_nothing_is_left_of_it() {
    let app = TestApp::start().await;
    // Several tenants, since a search looks at all passages of one.
    let tenants: Vec<String> = (0..TENANTS).map(|number| format!("tenant-{number}")).collect();
    let editors: Vec<User<'_>> = tenants.iter().map(|tenant| app.user(tenant, "ada", Role::Editor)).collect();
    let rounds = stream::iter(0..ROUNDS).map(|number| {
        let (tenant, ada) = (&tenants[number % TENANTS], &editors[number % TENANTS]);
        async move {
            // Anywhere within the work, which takes some tens of milliseconds here.
            let wait = Duration::from_millis(number as u64 * 37 % 150);
            if number.is_multiple_of(2) {
                (tenant, delete(ada, number, wait).await, 0)
            } else {
                (tenant, replace(ada, number, wait).await, 2)
            }
        }
    });
    let ended: Vec<(&String, String, u32)> = rounds.buffer_unordered(SIDE_BY_SIDE).collect().await;

    let worker = app.worker().await;
    for (name, id, version) in ended {
        let tenant = name.parse().unwrap();
        let document = id.parse().unwrap();
        // What is shown, what is stored: passages of the served version and none else, with one word each that
        // finds it, its original and its text.
        let expected = if version == 0 { (0, 0, 0) } else { (4, 4, 2) };
        for attempt in 0.. {
            let count = worker.chunks.count(&tenant, document).await.unwrap();
            let objects = worker.blobs.count(&tenant, document).await.unwrap();
            let stored = (count.passages, count.postings, objects);
            if stored == expected {
                break;
            }
            assert!(attempt < 500, "{id} of version {version}: {stored:?} instead of {expected:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if version == 0 {
            let admin = app.user(name, "ann", Role::Admin);
            assert_eq!(admin.get(&format!("/documents/{id}/purge")).await.expect(200).body["status"], "purged");
        }
    }
    app.stop().await;
}
