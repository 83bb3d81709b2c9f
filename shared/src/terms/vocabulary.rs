//! The words that are no exact terms: those that an embedding model knows as wholes, and those that stand in every text.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::fold;

/// The more frequent of the whole words in the vocabulary of BERT (`bert-base-uncased`, Google, Apache-2.0), in lower case and
/// sorted: those of three letters and more. `scripts/vocabulary.py` makes the file. It is searched as it is, so that a cold
/// start has nothing to do.
const VOCABULARY: &str = include_str!("vocabulary.txt");

/// The stop words of all languages, folded: which language a word is of is not known.
static STOP_WORDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let words = stop_words::available_languages().iter().filter_map(stop_words::lookup);
    words.flatten().map(|word| fold(word)).collect()
});

/// Whether a folded word is common.
pub(super) fn knows(word: &str) -> bool {
    is_listed(word) || STOP_WORDS.contains(word)
}

fn is_listed(word: &str) -> bool {
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
        assert!(VOCABULARY.lines().count() > 8_000);
        assert!(VOCABULARY.lines().is_sorted());
        for word in VOCABULARY.lines() {
            assert!(is_listed(word), "{word}");
            assert!(!is_listed(&format!("{word}zq")), "{word}");
        }
        for word in ["", "a", "\n", "aaa\naaron", "zzzzz", "ß"] {
            assert!(!is_listed(word), "{word:?}");
        }
    }

    #[test]
    fn words_that_stand_in_every_text_are_known_in_any_language() {
        for word in ["nicht", "wahrend", "чтобы", "هذا"] {
            assert!(!is_listed(word) && knows(word), "{word}");
        }
        assert!(!knows("zyzzogeton"));
    }
}
