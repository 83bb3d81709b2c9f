//! What becomes of the candidates of a search after the databases answered: `make bench`.
//!
//! A hundred passages of 170 words are ranked (cut into words, BM25, fusion) and selected (same texts found, chosen, marked). How
//! often words repeat is as in real texts (Zipf), since most of the time goes into words that were not seen before; and texts are
//! measured as they are typed, as they are typeset, and in another script, since characters beyond ASCII take more of it. The time
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

/// Words by how frequent they are: those that stand in every text, and some thousand others.
const COMMON: &str =
    "the of and in to a is that for it with as was on are by from at which this be not or have an were but had";
const OTHERS: &str = include_str!("../../shared/src/terms/vocabulary.txt");

fn main() {
    println!("{CANDIDATES} candidates, milliseconds (medians of {ROUNDS}):");
    println!(
        "{:<10}{:>8}{:>8}{:>8}{:>26}{:>12}",
        "",
        "rank",
        "select",
        "both",
        "times cutting into words",
        format!("of {} ms", TARGET.as_millis())
    );
    measure("typed", "en", str::to_owned);
    measure("typeset", "en", typeset);
    measure("Cyrillic", "ru", cyrillic);
}

fn measure(name: &str, language: &str, written: impl Fn(&str) -> String) {
    let words: Vec<&str> = COMMON.split(' ').collect();
    let others: Vec<&str> = OTHERS.lines().collect();
    // The list is sorted by letters: a step that has no factor with its length visits each word once.
    let words: Vec<&str> =
        words.into_iter().chain((0..others.len()).map(|n| others[n * 7_919 % others.len()])).collect();

    let ids: Vec<DocumentId> = (0..CANDIDATES / 2).map(|_| DocumentId::new()).collect();
    let documents: HashMap<DocumentId, Document> = ids.iter().map(|id| (*id, document(*id, language))).collect();
    let mut dice = Dice(7);
    let mut passage = |n: u32| candidate(n, ids[n as usize / 2], language, written(&text(&words, &mut dice)));
    let candidates: Vec<Candidate> = (0..CANDIDATES).map(&mut passage).collect();
    let [first, second, third, fourth, fifth] = [35, 48, 90, 200, 1_000].map(|n| words[n]);
    let query = SearchQuery {
        merge_adjacent: true,
        explain: true,
        ..SearchQuery::new(written(&format!("which {first}s of the {second} {third} for {fourth}, and how {fifth}?")))
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
        assert!(black_box(words) >= CANDIDATES as usize * WORDS);
        cutting.push(started.elapsed());
    }
    let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
    let (ranking, selecting, cutting) = (median(ranking), median(selecting), median(cutting));
    let both = ranking + selecting;
    println!(
        "{name:<10}{:>8.2}{:>8.2}{:>8.2}{:>26.1}{:>12.2}",
        milliseconds(ranking),
        milliseconds(selecting),
        milliseconds(both),
        both.as_secs_f64() / cutting.as_secs_f64(),
        both.as_secs_f64() / TARGET.as_secs_f64(),
    );
}

fn candidate(n: u32, document_id: DocumentId, language: &str, text: String) -> Candidate {
    let chunk = Chunk {
        version: 1,
        chunk_index: n % 2,
        text,
        page: Some(1),
        heading: Some("Report › Birds of the lakes".to_owned()),
        span_start: n % 2 * 1_200,
        span_end: n % 2 * 1_200 + 1_199,
    };
    let near = Candidate::from(Hit { document_id, chunk, similarity: 0.9 - n as f32 / 200.0 });
    Candidate { filename: "report.md".to_owned(), language: Some(Language::new(language)), ..near }
}

/// Sentences of words, each as likely as it is frequent.
fn text(words: &[&str], dice: &mut Dice) -> String {
    let mut text = String::new();
    for place in 0..WORDS {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 1 and less than the words"
        )]
        let word = words[(words.len() as f64).powf(dice.throw()) as usize - 1];
        text.push_str(match place % 17 {
            0 if place > 0 => ". ",
            8 => ", ",
            _ => " ",
        });
        text.push_str(word);
    }
    text
}

/// With the quotation marks and dashes of a printed text.
fn typeset(text: &str) -> String {
    text.replace(". ", ".” “").replace(", ", " – ").replace(" was ", " it’s ")
}

/// In other letters, word for word.
fn cyrillic(text: &str) -> String {
    const LETTERS: [char; 26] = [
        'а', 'б', 'ц', 'д', 'е', 'ф', 'г', 'х', 'и', 'й', 'к', 'л', 'м', 'н', 'о', 'п', 'щ', 'р', 'с', 'т', 'у', 'в',
        'ш', 'ж', 'ы', 'з',
    ];
    let letter = |c: char| if c.is_ascii_lowercase() { LETTERS[c as usize - 'a' as usize] } else { c };
    text.chars().map(letter).collect()
}

/// The same numbers in each run, from 0 to 1.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn document(id: DocumentId, language: &str) -> Document {
    serde_json::from_value(json!({
        "id": id, "collection": "default", "filename": "report.md", "content_type": "text/markdown", "size_bytes": 1,
        "sha256": null, "language": language, "version": 1, "served_version": 1, "status": "ready", "stages": [], "error": null,
        "chunk_count": 2, "metadata": {}, "created_at": "2026-11-26T12:00:00Z", "updated_at": "2026-11-26T12:00:00Z",
        "created_by": "ada",
    }))
    .unwrap()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
