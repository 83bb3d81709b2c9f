//! The words that an embedding model knows as wholes.

/// The whole words of the vocabulary of BERT (`bert-base-uncased`; Apache-2.0, Google), sorted, in lower case: those of three
/// letters and more. `scripts/vocabulary.py` makes the file. It is searched as it is, so that a cold start has nothing to do.
const VOCABULARY: &str = include_str!("vocabulary.txt");

/// Whether a word, in lower case and without accents, is among them.
pub(super) fn knows(word: &str) -> bool {
    let (mut from, mut to) = (0, VOCABULARY.len());
    while from < to {
        let middle = usize::midpoint(from, to);
        let start = VOCABULARY[..middle].rfind('\n').map_or(0, |end| end + 1).max(from);
        let end = VOCABULARY[start..].find('\n').map_or(VOCABULARY.len(), |length| start + length);
        match word.cmp(&VOCABULARY[start..end]) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => to = start,
            std::cmp::Ordering::Greater => from = end + 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_and_nothing_between_them() {
        assert!(VOCABULARY.lines().count() > 20_000);
        assert!(VOCABULARY.lines().is_sorted());
        for word in VOCABULARY.lines() {
            assert!(knows(word), "{word}");
            assert!(!knows(&format!("{word}zq")), "{word}");
        }
        for word in ["", "a", "\n", "aaa\naaron", "zzzzz", "ß"] {
            assert!(!knows(word), "{word:?}");
        }
    }
}
