use std::collections::{BTreeMap, HashMap, HashSet};

use shared::retrieval::Passage;

use crate::event::Source;

/// The most passages that one answer may number. The next answer leaves so many numbers out if this one is not at its end, so
/// that no number ever means two passages.
pub(crate) const MOST_SOURCES: usize = 100;

/// All that may be found for one answer, in bytes: it is stored with it.
const MAX_FOUND: usize = 160 * 1024;
/// What a passage takes beside its text and the name of its document, in bytes.
const PASSAGE: usize = 250;

/// What was retrieved in a conversation, by the numbers that markers name. A number means one passage, as long as the
/// conversation lasts, and a passage that is found again keeps its number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    known: BTreeMap<usize, Source>,
    numbers: HashMap<String, usize>,
    /// The highest number that was given before.
    first: usize,
    /// The highest number that was given.
    last: usize,
    /// What was found for this answer, and how many bytes that takes.
    found: HashSet<usize>,
    bytes: usize,
}

impl Sources {
    /// Those of the answers before, and the highest number that any of them had.
    pub(crate) fn after(earlier: impl IntoIterator<Item = Source>, last: usize) -> Self {
        let mut sources = Self { first: last, last, ..Self::default() };
        for source in earlier {
            sources.numbers.insert(source.chunk_id.clone(), source.n);
            sources.known.insert(source.n, source);
        }
        sources
    }

    /// The source that a marker names.
    pub(crate) fn get(&self, n: usize) -> Option<&Source> {
        self.known.get(&n)
    }

    /// A passage that was found, under its number; `None` if there are too many.
    pub(crate) fn number(&mut self, passage: &Passage) -> Option<Source> {
        let known = self.numbers.get(&passage.chunk_id).and_then(|n| self.known.get(n)).cloned();
        let size = PASSAGE + passage.filename.len() + passage.text.len();
        let is_new = known.as_ref().is_none_or(|source| !self.found.contains(&source.n));
        if is_new && self.bytes + size > MAX_FOUND || known.is_none() && self.last - self.first >= MOST_SOURCES {
            return None;
        }
        let source = known.unwrap_or_else(|| {
            self.last += 1;
            Source::new(self.last, passage)
        });
        if self.found.insert(source.n) {
            self.bytes += size;
            self.numbers.insert(source.chunk_id.clone(), source.n);
            self.known.insert(source.n, source.clone());
        }
        Some(source)
    }
}

#[cfg(test)]
mod tests {
    use shared::retrieval::Span;
    use shared::tenancy::{CollectionId, DocumentId};

    use super::*;

    fn passage(chunk_id: &str, length: usize) -> Passage {
        Passage {
            chunk_id: chunk_id.to_owned(),
            document_id: DocumentId::new(),
            filename: "ducks.md".to_owned(),
            collection: CollectionId::default_collection(),
            page: None,
            heading: None,
            span: Span { start: 0, end: 9 },
            text: "d".repeat(length),
            score: 1.0,
        }
    }

    fn number(sources: &mut Sources, chunk_id: &str) -> Option<usize> {
        sources.number(&passage(chunk_id, 9)).map(|source| source.n)
    }

    #[test]
    fn a_passage_has_one_number_and_a_number_one_passage() {
        let mut first = Sources::default();
        let numbers = ["a", "b", "a", "c"].map(|chunk| number(&mut first, chunk));
        assert_eq!(numbers, [Some(1), Some(2), Some(1), Some(3)]);
        let earlier = [2, 3].map(|n| first.get(n).unwrap().clone());
        // The document of the first is gone; its number is not given again.
        let mut next = Sources::after(earlier, 3);
        assert_eq!(next.get(1), None);
        assert_eq!(next.get(3).unwrap().chunk_id, "c");
        let numbers = ["a", "c", "d", "b"].map(|chunk| number(&mut next, chunk));
        assert_eq!(numbers, [Some(4), Some(3), Some(5), Some(2)]);
    }

    #[test]
    fn one_answer_numbers_no_more_than_can_be_told_apart_and_stored() {
        let mut many = Sources::after([], 7);
        let numbers: Vec<_> = (0..2 * MOST_SOURCES).filter_map(|chunk| number(&mut many, &chunk.to_string())).collect();
        assert_eq!(numbers, (8..8 + MOST_SOURCES).collect::<Vec<_>>());
        assert_eq!(number(&mut many, "0"), Some(8), "what is known is found again");

        let mut long = Sources::default();
        let found = (0..100).map_while(|chunk| long.number(&passage(&chunk.to_string(), 10_000))).count();
        assert!(found * 10_000 < MAX_FOUND && (found + 1) * (10_000 + PASSAGE + 8) > MAX_FOUND, "{found}");
        assert!(long.number(&passage("0", 10_000)).is_some(), "what was found takes no more room");
    }
}
