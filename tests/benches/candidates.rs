//! What becomes of the candidates of a search after the databases answered: `make bench`.
//!
//! A hundred passages of about 170 words are ranked by meaning and words, compared with each other, chosen and marked. The time
//! is also given as a ratio to cutting the same passages into words once, below which nothing that reads them can be.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot be taken ends")]

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::json;
use shared::chunks::{Chunk, Hit};
use shared::documents::Document;
use shared::language::Language;
use shared::retrieval::{Candidate, SearchQuery, rank, select};
use shared::tenancy::DocumentId;
use unicode_segmentation::UnicodeSegmentation;

const ROUNDS: usize = 300;
const CANDIDATES: u32 = 100;
const WORDS: usize = 170;
/// What a search may spend on it.
const TARGET: Duration = Duration::from_millis(2);

fn main() {
    let ids: Vec<DocumentId> = (0..CANDIDATES / 2).map(|_| DocumentId::new()).collect();
    let documents: HashMap<DocumentId, Document> = ids.iter().map(|id| (*id, document(*id))).collect();
    let candidates: Vec<Candidate> = (0..CANDIDATES).map(|n| candidate(n, ids[n as usize / 2])).collect();
    let query = SearchQuery {
        merge_adjacent: true,
        explain: true,
        ..SearchQuery::new("which ducks of the northern lakes dive for mussels, and how deep?")
    };

    let (mut ranking, mut selecting, mut cutting) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let found = candidates.clone();
        let started = Instant::now();
        let ranked = rank(&query, 0.45, found);
        let taken = Instant::now();
        let passages = select(&query, ranked, &documents);
        let ended = Instant::now();
        assert!(!black_box(passages).is_empty());
        ranking.push(taken - started);
        selecting.push(ended - taken);
        let started = Instant::now();
        let words: usize = candidates.iter().map(|candidate| candidate.chunk.text.unicode_words().count()).sum();
        assert_eq!(black_box(words), CANDIDATES as usize * WORDS);
        cutting.push(started.elapsed());
    }
    let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
    let (ranking, selecting, cutting) = (median(ranking), median(selecting), median(cutting));
    let whole = ranking + selecting;
    println!(
        "{CANDIDATES} candidates: {:.2} ms ({:.2} to rank, {:.2} to select), {:.1} times cutting them into words, {:.2} of the {} ms allowed",
        milliseconds(whole),
        milliseconds(ranking),
        milliseconds(selecting),
        whole.as_secs_f64() / cutting.as_secs_f64(),
        whole.as_secs_f64() / TARGET.as_secs_f64(),
        TARGET.as_millis(),
    );
}

fn candidate(n: u32, document_id: DocumentId) -> Candidate {
    let chunk = Chunk {
        version: 1,
        chunk_index: n % 2,
        text: text(n as usize),
        page: Some(1),
        heading: Some("Report › Birds of the lakes".to_owned()),
        span_start: n % 2 * 1_200,
        span_end: n % 2 * 1_200 + 1_199,
    };
    let near = Candidate::from(Hit { document_id, chunk, similarity: 0.9 - n as f32 / 200.0 });
    Candidate { filename: "report.md".to_owned(), language: Some(Language::new("en")), ..near }
}

/// Words such as a report has, others in each passage, with some of the query among them.
fn text(n: usize) -> String {
    const VOCABULARY: [&str; 48] = [
        "ducks",
        "lakes",
        "diving",
        "mussels",
        "the",
        "of",
        "in",
        "and",
        "northern",
        "observed",
        "winter",
        "feeding",
        "groups",
        "between",
        "reported",
        "numbers",
        "population",
        "breeding",
        "shallow",
        "waters",
        "depth",
        "metres",
        "species",
        "which",
        "were",
        "counted",
        "during",
        "autumn",
        "migration",
        "reservoir",
        "vegetation",
        "invertebrates",
        "foraging",
        "behaviour",
        "measured",
        "survey",
        "however",
        "significant",
        "difference",
        "found",
        "two",
        "sites",
        "years",
        "area",
        "temperature",
        "distribution",
        "females",
        "males",
    ];
    let word = |place: usize| VOCABULARY[((n * 7_919 + place * 104_729) ^ (place * n)) % VOCABULARY.len()];
    (0..WORDS).map(word).collect::<Vec<_>>().join(" ")
}

fn document(id: DocumentId) -> Document {
    serde_json::from_value(json!({
        "id": id, "collection": "default", "filename": "report.md", "content_type": "text/markdown", "size_bytes": 1,
        "sha256": null, "language": "en", "version": 1, "served_version": 1, "status": "ready", "stages": [], "error": null,
        "chunk_count": 2, "metadata": {}, "created_at": "2026-11-26T12:00:00Z", "updated_at": "2026-11-26T12:00:00Z",
        "created_by": "ada",
    }))
    .unwrap()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
