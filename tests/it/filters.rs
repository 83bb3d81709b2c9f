//! A filter loses nothing, however few of many passages it lets through.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use futures::future::try_join_all;
use serde_json::{Value, json};
use shared::chunks::{Chunk, Chunks, Embedded, Fingerprint, Vector};
use shared::clients::{Builder, DynamoDb};
use shared::config::Variables;
use shared::documents::{Document, Metadata, Status};
use shared::editions::Edition;
use shared::embed::{Embedder, HashingEmbedder};
use shared::retrieval::{Filter, Mode, Retriever, SearchQuery};
use shared::tables::{self, Key};
use shared::tenancy::{CollectionId, DocumentId, Principal, Role, TenantId};
use tests::TestApp;
use time::OffsetDateTime;

const PASSAGES: usize = 10_000;
const DIMENSIONS: usize = 64;
const WORDS: u64 = 300;
const QUERIES: u64 = 4;

/// Passages of words drawn by lot, of which a twentieth are in another language: they share no word with any query.
struct Corpus {
    principal: Principal,
    retriever: Retriever,
    embedder: HashingEmbedder,
    /// Each with its document's metadata, its name and its vector.
    passages: Vec<(Metadata, String, Vec<f32>)>,
}

impl Corpus {
    /// One of documents with so many passages each, in tables of its own.
    async fn of(app: &TestApp, of_document: usize) -> Self {
        let (table, chunks_table) = (format!("documents-of-{of_document}"), format!("chunks-of-{of_document}"));
        let dimensions = DIMENSIONS.to_string();
        let own = [
            ("TABLE_NAME", table.as_str()),
            ("CHUNKS_TABLE_NAME", chunks_table.as_str()),
            ("EMBEDDING_DIMENSIONS", dimensions.as_str()),
        ];
        let builder = Builder::new(Variables::from_pairs(own).or(app.running().variables())).await.unwrap();
        let (dynamodb, redis) = (builder.dynamodb().unwrap(), builder.redis().unwrap());
        tables::create(&dynamodb, Edition::FIRST, DIMENSIONS).await.unwrap();
        let collections = BTreeMap::from([(CollectionId::default_collection(), Role::Viewer)]);
        let principal = Principal {
            tenant: "acme".parse().unwrap(),
            user: "ada".parse().unwrap(),
            key: None,
            role: Role::Viewer,
            email: None,
            name: None,
            collections: Arc::new(collections),
            editions: Arc::default(),
        };
        let retriever = builder.retriever(&dynamodb, &redis, builder.models().unwrap()).unwrap();
        let embedder = HashingEmbedder::new(DIMENSIONS);
        let mut corpus = Self { principal, retriever, embedder, passages: Vec::with_capacity(PASSAGES) };
        corpus.fill(&dynamodb, of_document).await;
        corpus
    }

    async fn fill(&mut self, dynamodb: &DynamoDb, of_document: usize) {
        let (tenant, collection) = (&self.principal.tenant.clone(), &CollectionId::default_collection());
        let (documents, mut items, mut writes) = (PASSAGES / of_document, Vec::new(), Vec::new());
        let mut lot = Lot(7);
        for n in 0..documents {
            // Neighbours in time are strangers in rank.
            let rank = n * 7_919 % documents;
            let german = rank * 20 >= documents * 19;
            let metadata = json!({"rank": rank * 10_000 / documents, "language": if german { "de" } else { "en" }});
            let document = document(metadata.as_object().unwrap().clone(), u32::try_from(of_document).unwrap());
            let texts: Vec<String> = (0..of_document).map(|_| lot.text(16, german)).collect();
            let vectors = self.embedder.embed(&texts).await.unwrap();
            let embedded: Vec<Embedded> = (0..)
                .zip(texts.into_iter().zip(vectors))
                .map(|(index, (text, vector))| passage(index, text, vector))
                .collect();
            for Embedded { chunk, vectors, .. } in &embedded {
                let name = chunk.id(document.id);
                self.passages.push((document.metadata.clone(), name, vectors[0].numbers.clone()));
            }
            items.push(item(tenant, &document));
            writes.push((document.id, embedded));
        }
        let chunks = Chunks::new(dynamodb);
        let chunks = &chunks;
        for batch in writes.chunks(4) {
            let puts = batch.iter().map(|(id, embedded)| chunks.put(tenant, collection, *id, embedded));
            try_join_all(puts).await.unwrap();
        }
        dynamodb.write_all(&dynamodb.table, items).await.unwrap();
    }

    /// The names of the passages that pass and are as near as the tenth of them, as a scan of all finds them; and how many of
    /// them are to be found.
    fn scanned(&self, filter: &Filter, vector: &[f32]) -> (HashSet<String>, usize) {
        let similarity = |numbers: &[f32]| numbers.iter().zip(vector).map(|(a, b)| a * b).sum::<f32>();
        let passing = self.passages.iter().filter(|(metadata, ..)| filter.matches(metadata));
        let mut scored: Vec<_> = passing.map(|(_, name, numbers)| (similarity(numbers), name)).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let wanted = scored.len().min(10);
        let tenth = scored.get(wanted.saturating_sub(1)).map_or(0.0, |(similarity, _)| similarity - 1e-6);
        let near = scored.into_iter().take_while(|(similarity, _)| *similarity >= tenth);
        (near.map(|(_, name)| name.clone()).collect(), wanted)
    }

    /// Of the ten nearest passages that pass, the share that is found; and the milliseconds of a search.
    async fn recall(&self, filter: &Value) -> (f64, f64) {
        let filter = Filter::parse(filter, "/filters").unwrap();
        let (mut found, mut wanted, started) = (0, 0, Instant::now());
        for seed in 0..QUERIES {
            let text = Lot(1_000 + seed).text(4, false);
            let vector = self.embedder.embed(std::slice::from_ref(&text)).await.unwrap().remove(0);
            let (scanned, number) = self.scanned(&filter, &vector);
            let query = SearchQuery {
                filter: Some(filter.clone()),
                mode: Mode::Semantic,
                max_per_document: Some(10),
                ..SearchQuery::new(text)
            };
            let answer = self.retriever.find(&self.principal, &query).await.unwrap();
            assert!(answer.filtered.unwrap().complete);
            wanted += number;
            found += answer.passages.iter().filter(|found| scanned.contains(&found.passage.chunk_id)).count();
        }
        (f64::from(found as u32) / f64::from(wanted as u32), started.elapsed().as_secs_f64() * 1e3 / QUERIES as f64)
    }
}

fn document(metadata: Metadata, chunk_count: u32) -> Document {
    let now = OffsetDateTime::now_utc();
    Document {
        id: DocumentId::new(),
        collection: CollectionId::default_collection(),
        filename: "words.txt".to_owned(),
        content_type: "text/plain".to_owned(),
        size_bytes: 1,
        sha256: None,
        version: 1,
        served_version: Some(1),
        status: Status::Ready,
        stages: Vec::new(),
        error: None,
        chunk_count,
        language: None,
        metadata,
        created_at: now,
        updated_at: now,
        created_by: "ada".parse().unwrap(),
        trace: None,
    }
}

fn item(tenant: &TenantId, document: &Document) -> WriteRequest {
    let mut item: HashMap<_, _> = serde_dynamo::aws_sdk_dynamodb_1::to_item(document).unwrap();
    item.extend(Key::document(tenant, document.id).attributes());
    let partition = tables::collection_partition(tenant, &document.collection);
    item.insert(tables::COLLECTION_KEY.to_owned(), tables::text(partition));
    WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item)).build().unwrap()).build()
}

fn passage(chunk_index: u32, text: String, numbers: Vec<f32>) -> Embedded {
    let fingerprint = Fingerprint::of(&text, &HashingEmbedder::new(DIMENSIONS));
    let chunk = Chunk {
        version: 1,
        chunk_index,
        text: text.clone(),
        page: None,
        heading: None,
        span_start: chunk_index * 200,
        span_end: chunk_index * 200 + 199,
    };
    Embedded {
        chunk,
        source: text,
        terms: Vec::new(),
        vectors: vec![Vector { edition: Edition::FIRST, fingerprint, numbers }],
    }
}

/// Words by lot, the same each time (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
struct Lot(u64);

impl Lot {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn text(&mut self, words: usize, german: bool) -> String {
        let language = if german { "wort" } else { "word" };
        (0..words).map(|_| format!("{language}{}", self.next() % WORDS)).collect::<Vec<_>>().join(" ")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn selective_filters_find_what_a_scan_of_all_passages_finds() {
    let app = TestApp::start().await;
    println!("{:>20}{:>10}{:>12}{:>8}", "passages a document", "passes", "recall@10", "ms");
    for of_document in [1, 10] {
        let corpus = Corpus::of(&app, of_document).await;
        let lowest = |rank: usize| json!({"type": "lt", "key": "rank", "value": rank});
        let filters = [
            ("0.1 %", lowest(10)),
            ("1 %", lowest(100)),
            ("5 %", lowest(500)),
            ("20 %", lowest(2_000)),
            ("50 %", lowest(5_000)),
            ("5 %, far", json!({"type": "eq", "key": "language", "value": "de"})),
            ("none", json!({"type": "eq", "key": "language", "value": "fr"})),
        ];
        for (passes, filter) in filters {
            if passes == "none" {
                let (found, _) = corpus.recall(&filter).await;
                assert!(found.is_nan(), "nothing is to be found, and nothing is");
                continue;
            }
            let (recall, milliseconds) = corpus.recall(&filter).await;
            println!("{of_document:>20}{passes:>10}{recall:>12.3}{milliseconds:>8.0}");
            assert!(recall >= 0.95, "{passes} of documents with {of_document} passages: {recall}");
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_from_before_there_were_filters_is_given_their_index() {
    let app = TestApp::start().await;
    let builder = Builder::new(app.running().variables().clone()).await.unwrap();
    let dynamodb = builder.dynamodb().unwrap();
    let fields = [("metadata", r#"{"year": 2026}"#)];
    let uploaded = app.ada().upload_with("ducks.md", b"Ducks swim.", &fields).await.expect(202);
    app.ada().worked_off(uploaded.body["document"]["id"].as_str().unwrap()).await;
    let delete = aws_sdk_dynamodb::types::DeleteGlobalSecondaryIndexAction::builder();
    let delete = delete.index_name(tables::CATALOGUE).build().unwrap();
    let update = aws_sdk_dynamodb::types::GlobalSecondaryIndexUpdate::builder().delete(delete).build();
    let request = dynamodb.client.update_table().table_name(&dynamodb.table);
    request.global_secondary_index_updates(update).send().await.unwrap();
    let search = json!({"query": "ducks", "filters": {"type": "eq", "key": "year", "value": 2026}});
    app.ada().post("/search", search.clone()).await.expect(500);

    let app = app.restart().await;
    let found = app.ada().post("/search", search).await.expect(200).body;
    assert_eq!(found["data"][0]["filename"], "ducks.md", "{found}");
    app.stop().await;
}
