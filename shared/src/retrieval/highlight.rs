use std::collections::HashSet;

use unicode_segmentation::UnicodeSegmentation;

use super::passage::Span;
use super::words::{content_words, words};

/// The words of a query, to find them in passages.
pub(super) struct Highlighter {
    words: HashSet<String>,
    /// What they begin with, if all of them begin with ASCII: it spares most words of a passage from being compared.
    beginnings: Option<HashSet<u8>>,
}

impl Highlighter {
    pub(super) fn new(query: &str) -> Self {
        let words: HashSet<String> = content_words(query).into_iter().collect();
        let beginning = |word: &String| word.bytes().next().filter(u8::is_ascii);
        Self { beginnings: words.iter().map(beginning).collect(), words }
    }

    /// Where words of the query stand in a text, in whatever form of theirs, in characters of the text.
    pub(super) fn highlights(&self, text: &str) -> Vec<Span> {
        let mut spans = Vec::new();
        let (mut counted, mut characters) = (0, 0);
        for (at, word) in text.unicode_word_indices().filter(|(_, word)| self.is_asked(word)) {
            characters += text[counted..at].chars().count();
            counted = at;
            let position = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            let (start, end) = (position(characters), position(characters + word.chars().count()));
            spans.push(Span { start, end });
        }
        spans
    }

    fn is_asked(&self, word: &str) -> bool {
        let beginning = word.as_bytes()[0];
        if word.is_ascii() && self.beginnings.as_ref().is_some_and(|all| !all.contains(&beginning.to_ascii_lowercase()))
        {
            return false;
        }
        words(word).iter().any(|form| self.words.contains(form))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn highlighted(query: &str, text: &str) -> Vec<String> {
        let characters: Vec<char> = text.chars().collect();
        let cut = |span: Span| characters[span.start as usize..span.end as usize].iter().collect();
        Highlighter::new(query).highlights(text).into_iter().map(cut).collect()
    }

    #[test]
    fn words_are_found_in_any_form() {
        let found =
            highlighted("what do swimming ducks eat?", "Ducks — they swim, and what the DUCK eats… naïve duckweed!");
        assert_eq!(found, ["Ducks", "swim", "DUCK", "eats"]);
        assert_eq!(highlighted("Größe", "Die Größe der GRÖSSE: größe"), ["Größe", "größe"]);
    }

    #[test]
    fn spans_count_characters() {
        let spans = Highlighter::new("duck").highlights("ä😀 duck, duck");
        assert_eq!(spans, [Span { start: 3, end: 7 }, Span { start: 9, end: 13 }]);
    }

    #[test]
    fn nothing_is_marked_where_nothing_matches() {
        for (query, text) in [("duck", ""), ("", "duck"), ("the", "the duck"), ("…", "…")] {
            assert!(highlighted(query, text).is_empty(), "{query:?} in {text:?}");
        }
    }
}
