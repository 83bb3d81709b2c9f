//! What a search can be asked for beside its words.

use serde_json::{Value, json};
use tests::{Answer, TestApp, User};

async fn search(user: &User<'_>, body: &Value) -> Answer {
    user.post("/search", body.clone()).await.expect(200)
}

fn names(answer: &Answer) -> Vec<&str> {
    let mut names: Vec<_> =
        answer.body["data"].as_array().unwrap().iter().map(|found| found["filename"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

/// Uploads a text with metadata and waits until it is found.
async fn described(user: &User<'_>, name: &str, text: &str, metadata: &Value) -> String {
    let answer = user.upload_with(name, text.as_bytes(), &[("metadata", &metadata.to_string())]).await.expect(202);
    let id = answer.body["document"]["id"].as_str().unwrap().to_owned();
    assert_eq!(user.worked_off(&id).await["status"], "ready");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_let_documents_through_by_their_metadata() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let metadata = json!({"year": 2024, "tags": ["pond", "bird"], "due": "2026-01-01T00:00:00Z"});
    described(&ada, "ducks.md", "Ducks swim.", &metadata).await;
    let geese = described(&ada, "geese.md", "Geese swim.", &json!({"year": 2026, "final": true})).await;
    described(&ada, "swans.md", "Swans swim.", &json!({})).await;
    let comparison = |kind: &str, key: &str, value: Value| json!({"type": kind, "key": key, "value": value});
    for (filter, expected) in [
        (comparison("eq", "year", json!(2024)), vec!["ducks.md"]),
        (comparison("gte", "year", json!(2024)), vec!["ducks.md", "geese.md"]),
        (comparison("ne", "year", json!(2024)), vec!["geese.md", "swans.md"]),
        (comparison("in", "tags", json!(["pond", "sea"])), vec!["ducks.md"]),
        (comparison("nin", "tags", json!(["pond", "sea"])), vec!["geese.md", "swans.md"]),
        (comparison("lt", "due", json!("2026-01-01T01:00:00+00:30")), vec!["ducks.md"]),
        (comparison("eq", "final", json!("true")), vec![]),
        (
            json!({"type": "or", "filters": [comparison("eq", "final", json!(true)), comparison("eq", "tags", json!("bird"))]}),
            vec!["ducks.md", "geese.md"],
        ),
    ] {
        let answer = search(&ada, &json!({"query": "what swims?", "filters": filter})).await;
        assert_eq!(names(&answer), expected, "{filter}");
        assert_eq!(answer.body["filtered"], json!({"documents": expected.len(), "complete": true}), "{filter}");
    }
    assert_eq!(search(&ada, &json!({"query": "what swims?"})).await.body["filtered"], Value::Null);

    // With documents that are named, and in another tenant.
    let filter = comparison("gte", "year", json!(2024));
    let answer = search(&ada, &json!({"query": "swims", "filters": filter, "document_ids": [geese]})).await;
    assert_eq!(names(&answer), ["geese.md"]);
    let filter = comparison("lt", "year", json!(2025));
    let answer = search(&ada, &json!({"query": "swims", "filters": filter, "document_ids": [geese]})).await;
    assert_eq!(names(&answer), Vec::<&str>::new());
    let other = app.user("other", "eve", shared::tenancy::Role::Viewer);
    let filter = comparison("ne", "year", json!(1));
    assert_eq!(names(&search(&other, &json!({"query": "swims", "filters": filter})).await), Vec::<&str>::new());

    // What is changed, replaced or deleted is found as it is.
    ada.patch(&format!("/documents/{geese}"), json!({"metadata": {"year": 2020}})).await.expect(200);
    let of = |year: i32| json!({"query": "what swims?", "filters": comparison("eq", "year", json!(year))});
    assert_eq!(names(&search(&ada, &of(2020)).await), ["geese.md"]);
    assert_eq!(names(&search(&ada, &of(2026)).await), Vec::<&str>::new());
    ada.delete(&format!("/documents/{geese}")).await.expect(202);
    assert_eq!(names(&search(&ada, &of(2020)).await), Vec::<&str>::new());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_kept_to_the_collections_that_are_asked() {
    let app = TestApp::start().await;
    let (admin, ada) = (app.user("acme", "admin", shared::tenancy::Role::Admin), app.ada());
    admin.put("/collections/ponds", json!({"name": "Ponds", "access": "tenant"})).await.expect(200);
    let fields = [("collection", "ponds"), ("metadata", r#"{"year": 2026}"#)];
    let pond = ada.upload_with("pond.md", b"Ducks swim.", &fields).await.expect(202);
    ada.worked_off(pond.body["document"]["id"].as_str().unwrap()).await;
    described(&ada, "lake.md", "Ducks swim far.", &json!({"year": 2026})).await;
    let filter = json!({"type": "eq", "key": "year", "value": 2026});
    let of = |collections: Value| json!({"query": "ducks", "filters": filter, "collections": collections});
    assert_eq!(names(&search(&ada, &of(json!([]))).await), ["lake.md", "pond.md"]);
    assert_eq!(names(&search(&ada, &of(json!(["ponds"]))).await), ["pond.md"]);
    assert_eq!(names(&search(&ada, &of(json!(["default"]))).await), ["lake.md"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_metadata_and_filters_is_named_by_its_place() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let id = ada.ready("ducks.md", "Ducks swim.").await["id"].as_str().unwrap().to_owned();
    let pointers = |answer: &Answer| {
        let errors = answer.body["errors"].as_array().unwrap_or_else(|| panic!("{}", answer.body));
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let wrong = json!({"a/b": null, "tags": ["x", 5], "n": 1});
    let patched = ada.patch(&format!("/documents/{id}"), json!({"metadata": wrong})).await.expect(400);
    assert_eq!(pointers(&patched), ["/metadata/a~1b", "/metadata/tags/1"]);
    let announcement = json!({"filename": "a.md", "content_type": "text/markdown", "size_bytes": 1, "metadata": wrong});
    let announced = ada.post("/documents/upload", announcement).await.expect(400);
    assert_eq!(pointers(&announced), ["/metadata/a~1b", "/metadata/tags/1"]);
    let sent = ada.upload_with("a.md", b"x", &[("metadata", &wrong.to_string())]).await.expect(400);
    assert_eq!(pointers(&sent), ["metadata/a~1b", "metadata/tags/1"]);
    assert_eq!(ada.get("/documents").await.body["data"].as_array().unwrap().len(), 1, "nothing was stored");

    for (field, value, pointer) in [
        ("filters", json!({"type": "like", "key": "k", "value": 1}), "/filters/type"),
        (
            "filters",
            json!({"type": "and", "filters": [{"type": "gt", "key": "k", "value": true}]}),
            "/filters/filters/0/value",
        ),
        ("filters", json!([]), "/filters"),
        ("max_per_document", json!(0), "/max_per_document"),
        ("max_per_document", json!(101), "/max_per_document"),
        ("min_score", json!(1.5), "/min_score"),
        ("min_score", json!("high"), "/min_score"),
        ("merge_adjacent", json!("yes"), "/merge_adjacent"),
        ("explain", json!(1), "/explain"),
        ("filter", json!({}), "/filter"),
    ] {
        let answer = ada.post("/search", json!({"query": "ducks", field: value})).await.expect(400);
        assert_eq!(pointers(&answer), [pointer], "{field}: {value}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passages_are_shown_once_few_of_each_document_and_marked() {
    let app = TestApp::start().await;
    let ada = app.ada();
    let section = |n: usize| format!("# Part {n}\n\nDucks of the kind number {n} swim in lake {n}.\n\n");
    ada.ready("long.md", (0..6).map(section).collect::<String>()).await;
    ada.ready("first.md", "Mallards are ducks that eat bread.").await;
    ada.ready("second.md", "MALLARDS are ducks, that eat bread").await;
    let found = |answer: &Answer| answer.body["data"].as_array().unwrap().clone();

    let answer = search(&ada, &json!({"query": "ducks swim"})).await;
    let of_long = found(&answer).iter().filter(|found| found["filename"] == "long.md").count();
    assert_eq!(of_long, 3);
    let shown: Vec<_> = found(&answer).into_iter().filter(|found| found["filename"] != "long.md").collect();
    assert_eq!(shown.len(), 1, "the two say the same");
    assert_eq!(shown[0]["duplicates"].as_array().unwrap().len(), 1);
    assert_ne!(shown[0]["duplicates"][0]["filename"], shown[0]["filename"]);

    for found in found(&answer) {
        let text: Vec<char> = found["text"].as_str().unwrap().chars().collect();
        for span in found["highlights"].as_array().unwrap() {
            let place = |name: &str| usize::try_from(span[name].as_u64().unwrap()).unwrap();
            let word: String = text[place("start")..place("end")].iter().collect();
            assert!(["ducks", "swim"].contains(&word.to_lowercase().as_str()), "{word}");
        }
        assert!(!found["highlights"].as_array().unwrap().is_empty(), "{found}");
        assert!(found.get("explanation").is_none());
    }

    let body = json!({"query": "ducks swim", "max_per_document": 6, "merge_adjacent": true, "explain": true});
    let answer = search(&ada, &body).await;
    let long: Vec<_> = found(&answer).into_iter().filter(|found| found["filename"] == "long.md").collect();
    assert_eq!(long.len(), 1, "all six parts follow each other: {long:#?}");
    assert_eq!(long[0]["merged"].as_array().unwrap().len(), 6);
    assert!((0..6).all(|n| long[0]["text"].as_str().unwrap().contains(&format!("lake {n}."))), "{}", long[0]["text"]);
    let explanation = &long[0]["explanation"];
    assert!(explanation["vector_rank"].is_u64() && explanation["lexical_rank"].is_u64(), "{explanation}");
    assert!(explanation["exact_terms"].is_array() && explanation["rerank_score"].is_null(), "{explanation}");

    let all = search(&ada, &json!({"query": "ducks swim", "max_per_document": 6})).await;
    let best = found(&all)[0]["score"].as_f64().unwrap();
    let least = search(&ada, &json!({"query": "ducks swim", "max_per_document": 6, "min_score": best})).await;
    assert_eq!(found(&least)[0], found(&all)[0]);
    assert!(found(&least).len() < found(&all).len());
    let stages: Vec<_> = answer.body["stages_ms"].as_object().unwrap().keys().collect();
    assert_eq!(stages, ["candidates", "documents", "query", "rank", "rerank", "select"]);
    assert!(all.body.get("stages_ms").is_none());
    app.stop().await;
}
