use std::collections::{BTreeMap, HashMap};

use shared::retrieval::Passage;

use crate::event::Source;

/// The most passages that one answer may number. The next answer leaves so many numbers out if this one is not at its end, so
/// that no number ever means two passages.
pub(crate) const MOST_SOURCES: usize = 100;

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

    /// A passage under its number; `None` if there are too many.
    pub(crate) fn number(&mut self, passage: &Passage) -> Option<Source> {
        if let Some(source) = self.numbers.get(&passage.chunk_id).and_then(|n| self.known.get(n)) {
            return Some(source.clone());
        }
        if self.last - self.first >= MOST_SOURCES {
            return None;
        }
        self.last += 1;
        let source = Source::new(self.last, passage);
        self.numbers.insert(source.chunk_id.clone(), source.n);
        self.known.insert(source.n, source.clone());
        Some(source)
    }
}
