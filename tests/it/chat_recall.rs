//! What a model searched for before is not searched for again, until something changes, and is nobody else's.

use local::EmbeddedDynamoDb;
use serde_json::{Value, json};
use shared::tenancy::Role;
use tests::llm::{ScriptedLlm, Turn};
use tests::{Meter, User};

use super::chat_agent::installation;

/// The names of the documents that an answer was made of.
async fn found(user: &User<'_>) -> Vec<String> {
    let answer = user.asks("/chat", json!({ "message": "What do ducks eat?" })).await;
    let mut names: Vec<_> =
        answer.sources().iter().map(|source| source["filename"].as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_made_again_only_after_a_change_or_by_who_may_read_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let database = EmbeddedDynamoDb::start(&folder.path().join("tables")).await.unwrap();
    let meter = Meter::start(&database.url()).await;
    let searches = || meter.bill().requests.get("SearchVectors").copied().unwrap_or_default();
    let llm = ScriptedLlm::start().await;
    let app = installation(&llm, &[("DYNAMODB_ENDPOINT", meter.url())]).await;
    llm.answer(|request| match request.rounds() {
        0 => Turn::call("search", &json!({ "query": "What do ducks eat?" })),
        _ => Turn::text("I see."),
    });
    let admin = app.user("acme", "root", Role::Admin);
    let (ada, bob) = (app.ada(), app.user("acme", "bob", Role::Editor));
    let snails = ada.ready("snails.md", "Ducks eat snails.").await;

    searches();
    assert_eq!(found(&ada).await, ["snails.md"]);
    assert!(searches() > 0);
    // The stream tells the cache of the document once more, which takes a moment.
    let mut asked = 0;
    while asked == 0 || searches() > 0 {
        assert_eq!(found(&ada).await, ["snails.md"]);
        asked += 1;
        assert!(asked < 50, "it is searched for again and again");
    }
    assert_eq!(found(&bob).await, ["snails.md"]);
    assert_eq!(searches(), 0, "nothing has changed, and bob may read the same");

    // What is written is found at once, and what is deleted never again.
    ada.ready("slugs.md", "Ducks eat slugs.").await;
    searches();
    assert_eq!(found(&ada).await, ["slugs.md", "snails.md"]);
    assert!(searches() > 0);
    ada.delete(&format!("/documents/{}", snails["id"].as_str().unwrap())).await.expect(202);
    assert_eq!(found(&ada).await, ["slugs.md"]);

    // To whom something else is open, something else is found; and another tenant's is nobody's.
    admin.put("/collections/board", json!({ "name": "Board", "access": "members" })).await.expect(200);
    admin.upload_with("crabs.md", b"Ducks eat crabs.", &[("collection", "board")]).await.expect(202);
    let board: Value = admin.get("/documents?collection=board").await.expect(200).body;
    admin.worked_off(board["data"][0]["id"].as_str().unwrap()).await;
    assert_eq!(found(&admin).await, ["crabs.md", "slugs.md"]);
    assert_eq!(found(&bob).await, ["slugs.md"]);
    assert_eq!(found(&admin).await, ["crabs.md", "slugs.md"]);
    assert_eq!(found(&app.user("other", "ada", Role::Admin)).await, [""; 0]);
    app.stop().await;
    database.stop().await;
}
