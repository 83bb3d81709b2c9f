//! Words that embeddings do not know find the passages they stand in, in whatever form they are typed.

use std::time::Duration;

use local::EmbeddedDynamoDb;
use serde_json::{Value, json};
use shared::chunks::{Chunks, Count};
use shared::clients::{Builder, DynamoDb};
use shared::tenancy::{CollectionId, Role, TenantId};
use shared::terms::exact_terms;
use tests::{Bill, Embeddings, Meter, TestApp, User, data};

/// More passages than the vector search returns, none of which is looked for.
const FILLERS: usize = 120;
/// What the passages have that are looked for: their vectors are like none.
const HIDDEN: &str = "Verborgen";

fn acme() -> TenantId {
    "acme".parse().unwrap()
}

async fn dynamodb(app: &TestApp) -> DynamoDb {
    Builder::new(app.running().variables().clone()).await.unwrap().dynamodb().unwrap()
}

/// An installation whose vectors never find a passage with the hidden word.
async fn blind() -> (TestApp, Embeddings) {
    let embeddings = Embeddings::start(384).await;
    embeddings.overlook(HIDDEN);
    let app = TestApp::start_with(&embeddings.variables()).await;
    let section = |n: usize| format!("## Part {n}\n\nDucks swim on the lake, day {n} of the year.\n\n");
    let filler: String = (0..FILLERS).map(section).collect();
    let document = app.ada().ready("filler.md", format!("# Filler\n\n{filler}")).await;
    assert!(document["chunk_count"].as_u64().unwrap() as usize >= FILLERS);
    (app, embeddings)
}

async fn hide(user: &User<'_>, name: &str, text: &str) -> Value {
    user.ready(&format!("{name}.md"), format!("{HIDDEN}: {text}")).await
}

async fn first(user: &User<'_>, query: &str) -> Value {
    user.search(query).await.first().map_or(Value::Null, |passage| passage["filename"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_comes_first_however_it_is_typed() {
    let (app, _embeddings) = blind().await;
    let ada = app.ada();
    // Each with another that is almost the same.
    let hidden = [
        ("error", "ERR-4821", "ERR-4812"),
        ("hex", "0x80070005", "0x80070050"),
        ("uuid", "3f2a9c1b-77d1", "3f2a9c1c-77d1"),
        ("sku", "AB-1234-XL", "AB-1234-XS"),
        ("version", "v2.14.3", "v2.1.43"),
        ("mail", "jane.doe@example.com", "jane.roe@example.com"),
        ("path", "/etc/nginx/conf.d/site.conf", "/etc/nginx/conf.d/sites.conf"),
        ("windows", r"C:\Program Files\Ragtime\rag.exe", r"C:\Program Files\Ragtime\rug.exe"),
        ("function", "getUserName", "getUserNames2"),
    ];
    let name = ("surname", "Zhukhovitskii", "Zhukhovskaya");
    for (name, code, other) in hidden.into_iter().chain([name]) {
        hide(&ada, name, &format!("the record says {code}, which is all that is known.")).await;
        hide(&ada, &format!("not-{name}"), &format!("the record says {other}, which is all that is known.")).await;
    }
    for (name, code, _) in hidden {
        let queries = [code.to_owned(), code.to_lowercase(), format!("what is known of {code} on the lake?")];
        for query in queries {
            assert_eq!(first(&ada, &query).await, format!("{name}.md"), "{query}");
        }
    }
    for (query, name) in [
        ("err4821", "error"),
        ("4821", "error"),
        ("site.conf", "path"),
        ("jane.doe", "mail"),
        ("Zhukhovitskii", "surname"),
        ("zhukhovitskii's", "surname"),
        ("who is Zhukhovitskii?", "surname"),
    ] {
        assert_eq!(first(&ada, query).await, format!("{name}.md"), "{query}");
    }
    // Vectors alone do not find them.
    let semantic = json!({ "query": "ERR-4821", "mode": "semantic", "limit": 100 });
    let found = ada.post("/search", semantic).await.expect(200).body;
    assert!(found["data"].as_array().unwrap().iter().all(|passage| passage["filename"] == "filler.md"));
    // Nor does anybody else.
    assert_eq!(first(&app.user("globex", "gus", Role::Owner), "ERR-4821").await, Value::Null);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_of_any_language_finds_its_passage() {
    let (app, _embeddings) = blind().await;
    let ada = app.ada();
    let japanese = "東京都の公園では、カルガモが水草を食べる姿が見られます。繁殖期には水辺の草むらに巣を作ります。";
    let japanese = hide(&ada, "japanese", japanese).await;
    hide(&ada, "chinese", "绿头鸭生活在湖泊和河流上，主要吃水生植物。").await;
    hide(&ada, "korean", "청둥오리는 호수에서 수초를 먹고 산다.").await;
    let russian = hide(&ada, "russian", "Кряквы живут на озёрах и питаются водорослями, а зимой улетают на юг.").await;
    hide(&ada, "german", "Die Stockenten überwintern auf den größeren Seen und fressen Wasserpflanzen.").await;
    assert_eq!((&japanese["language"], &russian["language"]), (&json!("ja"), &json!("ru")));
    for (query, name) in [
        ("カルガモ", "japanese"),
        ("東京都", "japanese"),
        ("カルガモは何を食べますか", "japanese"),
        ("绿头鸭", "chinese"),
        ("청둥오리", "korean"),
        ("водоросли", "russian"),
        ("Stockente", "german"),
        ("WASSERPFLANZE", "german"),
        ("überwintern", "german"),
        ("uberwintern", "german"),
    ] {
        assert_eq!(first(&ada, query).await, format!("{name}.md"), "{query}");
    }
    if let Some(samples) = data::documents() {
        for (name, queries) in [
            ("german-textbook.pdf", &["Hausdorff-Raum", "Simplizialkomplexe", "Tangentialebene"][..]),
            // Typed without the vowel signs that the document has.
            ("arabic.pdf", &["يبيبح"]),
        ] {
            let bytes = std::fs::read(samples.join(name)).unwrap();
            let id = ada.upload_with(name, &bytes, &[]).await.expect(202).body["document"]["id"].clone();
            assert_eq!(ada.worked_off(id.as_str().unwrap()).await["status"], "ready");
            for query in queries {
                assert_eq!(first(&ada, query).await, name, "{query}");
            }
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quoted_phrase_stands_in_every_passage_that_is_found() {
    let app = TestApp::start().await;
    let ada = app.ada();
    ada.ready("phrase.md", "The heat transfer through a flat plate was measured.").await;
    ada.ready("words.md", "The transfer of heat through a plate that is flat was measured.").await;
    let found = async |query: &str| {
        let found = ada.search(query).await;
        let mut names: Vec<_> = found.iter().map(|passage| passage["filename"].as_str().unwrap().to_owned()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(found("heat transfer of a flat plate").await, ["phrase.md", "words.md"]);
    assert_eq!(found("\"Heat Transfer\" of a “flat plate”").await, ["phrase.md"]);
    assert!(found("\"plate transfer\"").await.is_empty());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terms_of_a_document_that_is_moved_follow_it() {
    let app = TestApp::start().await;
    let admin = app.user("acme", "ann", Role::Admin);
    admin.put("/collections/birds", json!({})).await.expect(200);
    let document = admin.ready("codes.md", "# Codes\n\nThe code QX-7751 and the code QX-7752.\n").await;
    let id = document["id"].as_str().unwrap();
    admin.patch(&format!("/documents/{id}"), json!({ "collection": "birds" })).await.expect(200);
    let chunks = Chunks::new(&dynamodb(&app).await);
    let (birds, default) = ("birds".parse().unwrap(), CollectionId::default_collection());
    let holds = async |collection: &CollectionId| {
        let mut number = 0;
        for term in exact_terms("QX-7751 QX-7752", 9) {
            number += chunks.with_term(&acme(), collection, None, &term, 9).await.unwrap().len();
        }
        number
    };
    for attempt in 0.. {
        if (holds(&birds).await, holds(&default).await) == (4, 0) {
            break;
        }
        assert!(attempt < 500, "its terms do not follow");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let count = chunks.count(&acme(), id.parse().unwrap()).await.unwrap();
    assert_eq!(count, Count { passages: 1, postings: 4 });
    app.stop().await;
}

/// What it costs to ingest one document, and to search for something in it.
async fn bills(variables: &[(&str, &str)]) -> (Bill, Bill, f64) {
    let folder = tempfile::tempdir().unwrap();
    let database = EmbeddedDynamoDb::start(&folder.path().join("tables")).await.unwrap();
    let meter = Meter::start(&database.url()).await;
    let variables = [&[("DYNAMODB_ENDPOINT", meter.url())], variables].concat();
    let app = TestApp::start_with(&variables).await;
    let ada = app.ada();
    ada.search("warm").await;
    let part = |n: usize| {
        let prose = "The Zyzzogeton feeds on the leaves of trees in the forests of South America. ".repeat(6);
        format!("## Part {n}\n\n{prose}Its number is ZY-{n}, and that of its genus AUCH-77{n}.\n\n")
    };
    let whole: String = (0..20).map(part).collect();
    meter.bill();
    let document = ada.ready("insects.md", format!("# Insects\n\n{whole}")).await;
    let passages = document["chunk_count"].as_f64().unwrap();
    let ingestion = meter.bill();
    // What the door reads from time to time it has read.
    ada.search("warm once more").await;
    meter.bill();
    // So long that requests that go out together are seen to.
    meter.pause(Duration::from_millis(150));
    ada.search("what is the number AUCH-7712 of the Zyzzogeton?").await;
    let search = meter.bill();
    app.stop().await;
    database.stop().await;
    (ingestion, search, passages)
}

#[tokio::test(flavor = "multi_thread")]
async fn exact_terms_cost_requests_and_no_round_trip() {
    let (ingestion, search, passages) = bills(&[]).await;
    let (plain_ingestion, plain_search, _) = bills(&[("INGEST_TERMS", "0"), ("SEARCH_EXACT_TERMS", "false")]).await;
    for (what, with, without) in [("search", &search, &plain_search), ("ingestion", &ingestion, &plain_ingestion)] {
        println!("{what}: with exact terms {with:?}");
        println!("{what}: without          {without:?}");
    }
    let written = |bill: &Bill| bill.units["BatchWriteItem"] / passages;
    println!(
        "units written for each of {passages} passages: {} and {}",
        written(&ingestion),
        written(&plain_ingestion)
    );
    assert_eq!(search.rounds, plain_search.rounds, "{search:?} and {plain_search:?}");
    let more = search.total_requests() - plain_search.total_requests();
    assert!((1..=6).contains(&more), "{search:?} and {plain_search:?}");
    assert!(written(&ingestion) > written(&plain_ingestion));
}
