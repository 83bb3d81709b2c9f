//! New versions of a document.

use serde_json::{Value, json};
use shared::chunks::Count;
use shared::terms::exact_terms;
use tests::{Embeddings, TestApp, User};

use crate::flow::{DUCKS, PUMPS};

async fn replace(user: &User<'_>, id: &str, bytes: &[u8]) -> tests::Answer {
    user.upload_with("new.md", bytes, &[("document_id", id)]).await
}

fn id(document: &Value) -> &str {
    document["id"].as_str().unwrap()
}

/// Waits until nothing is left of what was before.
async fn settled(user: &User<'_>, id: &str, version: u64) -> Value {
    loop {
        let document = user.get(&format!("/documents/{id}")).await.expect(200).body;
        assert_ne!(document["status"], "failed", "{document}");
        if document["served_version"] == version {
            return document;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_version_is_served_until_the_new_one_is_ready() {
    let embeddings = Embeddings::start(384).await;
    let app = TestApp::start_with(&embeddings.variables()).await;
    let ada = app.ada();
    let old = ada.ready("ducks.md", DUCKS).await;
    embeddings.pause(std::time::Duration::from_secs(3));
    let answer = replace(&ada, id(&old), PUMPS.as_bytes()).await.expect(202).body;
    assert_eq!((&answer["document"]["id"], &answer["document"]["version"]), (&old["id"], &json!(2)));
    assert_eq!((&answer["document"]["served_version"], &answer["document"]["filename"]), (&json!(1), &json!("new.md")));

    // While the new one is in work, the old one answers, and nothing of the new.
    let mut seen = 0;
    loop {
        let (found, document) = (ada.search("ducks").await, ada.get(&format!("/documents/{}", id(&old))).await.body);
        if document["status"] == "indexing" || document["status"] == "ready" {
            break;
        }
        seen += 1;
        assert!(found.iter().all(|hit| hit["chunk_id"].as_str().unwrap().contains("-1-")), "{found:?}");
        assert!(!found.is_empty());
    }
    assert!(seen > 0, "it was replaced too fast to see");
    settled(&ada, id(&old), 2).await;
    let found = ada.search("ducks pumps").await;
    assert!(
        !found.is_empty() && found.iter().all(|hit| hit["chunk_id"].as_str().unwrap().contains("-2-")),
        "{found:?}"
    );
    assert_eq!(
        ada.chunks(id(&old)).await.len(),
        ada.get(&format!("/documents/{}", id(&old))).await.body["chunk_count"]
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passages_whose_text_did_not_change_keep_their_vectors() {
    let embeddings = Embeddings::start(384).await;
    let app = TestApp::start_with(&embeddings.variables()).await;
    let ada = app.ada();
    let sections = |changed: &str| {
        let section = |n: usize| format!("## Part {n}\n\nPart {n} says something of its own about ducks.\n\n");
        format!("# Ducks\n\n{}## Last\n\n{changed}\n", (0..12).map(section).collect::<String>())
    };
    let old = ada.ready("ducks.md", sections("It ends here.")).await;
    let before = embeddings.asked().len();
    assert_eq!(before, old["chunk_count"].as_u64().unwrap() as usize);
    replace(&ada, id(&old), sections("It ends differently.").as_bytes()).await.expect(202);
    settled(&ada, id(&old), 2).await;
    // The name of the file says nothing, since the text has a title of its own.
    assert_eq!(embeddings.asked().len(), before + 1, "one passage is new");
    assert_eq!(ada.chunks(id(&old)).await.len(), before);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_that_fails_leaves_the_old_one_in_place() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let old = ada.ready("ducks.md", DUCKS).await;
    replace(&ada, id(&old), b"\x7fELF\x02\x01\x01\0\0 not a document").await.expect(202);
    let document = ada.worked_off(id(&old)).await;
    assert_eq!((&document["status"], &document["served_version"]), (&json!("failed"), &json!(1)));
    assert_eq!(ada.search("what do ducks eat?").await[0]["document_id"], old["id"]);
    // The served bytes are still this document's.
    let again = ada.upload_with("ducks.md", DUCKS.as_bytes(), &[]).await.expect(200).body;
    assert_eq!((&again["duplicate"], &again["document"]["id"]), (&json!(true), &old["id"]));
    // A third version, and the bytes of the second are nobody's any more.
    replace(&ada, id(&old), PUMPS.as_bytes()).await.expect(202);
    settled(&ada, id(&old), 3).await;
    let other = ada.upload_with("ducks.md", DUCKS.as_bytes(), &[]).await.expect(202).body;
    assert_ne!(other["document"]["id"], old["id"], "the first version's bytes are free again");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_versions_that_were_replaced() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let old = ada.ready("ducks.md", DUCKS).await;
    for version in 2..6 {
        replace(&ada, id(&old), format!("# Version {version}\n\n{DUCKS}").as_bytes()).await.expect(202);
        settled(&ada, id(&old), version).await;
    }
    only_version_is_left(&app, id(&old), "5").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_versions_that_were_never_served() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let first = ada.upload("noise.bin", b"\x7fELF\x02\x01\x01\0\0 not a document").await;
    ada.worked_off(&first).await;
    replace(&ada, &first, b"\x7fELF\x02\x01\x01\0\0 not a document either").await.expect(202);
    ada.worked_off(&first).await;
    only_version_is_left(&app, &first, "2").await;
    replace(&ada, &first, DUCKS.as_bytes()).await.expect(202);
    settled(&ada, &first, 3).await;
    only_version_is_left(&app, &first, "3").await;
    app.stop().await;
}

/// Waits until there are no other objects, no other passages and no other postings.
async fn only_version_is_left(app: &TestApp, id: &str, version: &str) {
    let folder = app.folder().join(format!("objects/t/acme/{id}"));
    let worker = app.worker().await;
    let (tenant, document) = ("acme".parse().unwrap(), id.parse().unwrap());
    for attempt in 0.. {
        let versions: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let count = worker.chunks.count(&tenant, document).await.unwrap();
        let shown = app.ada().chunks(id).await;
        let postings = shown.iter().map(|chunk| exact_terms(chunk["text"].as_str().unwrap(), usize::MAX).len()).sum();
        if versions == [version] && count == (Count { passages: shown.len(), postings }) {
            return;
        }
        assert!(attempt < 500, "left are {versions:?} and {count:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_of_a_new_version_may_be_this_documents_only() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let (ducks, pumps) = (ada.ready("ducks.md", DUCKS).await, ada.ready("pumps.md", PUMPS).await);
    replace(&ada, id(&ducks), PUMPS.as_bytes()).await.expect(409);
    let same = replace(&ada, id(&ducks), DUCKS.as_bytes()).await.expect(200).body;
    assert_eq!((&same["duplicate"], &same["document"]), (&json!(true), &ducks));
    let gone = "01J9ZQ3W6V8Y0ABCDEFGHJKMNP";
    let error = replace(&ada, gone, b"# New\n\nText.").await.expect(400).body;
    assert_eq!(error["errors"][0]["pointer"], "document_id");
    let fields = [("document_id", id(&ducks)), ("collection", "elsewhere")];
    ada.upload_with("x.md", b"# New\n\nText.", &fields).await.expect(400);
    // A stranger's document does not exist.
    let stranger = app.user("globex", "eve", shared::tenancy::Role::Owner);
    replace(&stranger, id(&ducks), b"# New\n\nText.").await.expect(400);
    assert_eq!(ada.get(&format!("/documents/{}", id(&pumps))).await.expect(200).body, pumps);
    app.stop().await;
}
