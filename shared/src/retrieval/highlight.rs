use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::beginnings::Beginnings;
use super::passage::Span;
use super::words::{Analyzer, each_word};
use crate::language::Language;
use crate::terms::{fold, is_numeric, join, lower};

/// The words of a query, to find them in passages.
pub(super) struct Highlighter {
    query: String,
    languages: HashMap<Language, Words>,
}

/// The words as they stand in texts of a language.
struct Words {
    analyzer: Analyzer,
    forms: HashSet<String>,
    beginnings: Option<Beginnings>,
}

impl Highlighter {
    pub(super) fn new(query: &str) -> Self {
        Self { query: lower(query), languages: HashMap::new() }
    }

    /// Where words of the query stand in a text, in whatever form of theirs, and codes of `terms`, however they are joined; in
    /// characters of the text.
    pub(super) fn highlights(&mut self, text: &str, language: Option<&Language>, terms: &[String]) -> Vec<Span> {
        let language = language.cloned().unwrap_or_default();
        let words = self.languages.entry(language).or_insert_with_key(|language| Words::new(&self.query, language));
        let mut places = codes(text, terms);
        each_word(text, |word| {
            if words.has(word) {
                places.push(place(word, text));
            }
        });
        places.sort_by_key(|place| place.start);
        let mut spans: Vec<Span> = Vec::new();
        let (mut counted, mut characters, mut end) = (0, 0, 0);
        for place in places {
            characters += text[counted..place.start].chars().count();
            counted = place.start;
            let position = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            let span =
                Span { start: position(characters), end: position(characters + text[place.clone()].chars().count()) };
            match spans.last_mut() {
                // Pairs of characters overlap, and words are within codes.
                Some(last) if place.start < end => last.end = last.end.max(span.end),
                _ => spans.push(span),
            }
            end = end.max(place.end);
        }
        spans
    }
}

/// Where a word is that is a part of a text.
fn place(word: &str, text: &str) -> Range<usize> {
    let start = word.as_ptr() as usize - text.as_ptr() as usize;
    start..start + word.len()
}

/// Where those of the terms stand that hold a digit. Their words are not those of the query if they are joined in another way.
fn codes(text: &str, terms: &[String]) -> Vec<Range<usize>> {
    let codes: Vec<&String> = terms.iter().filter(|term| term.contains(is_numeric)).collect();
    let mut found = Vec::new();
    if codes.is_empty() {
        return found;
    }
    let mut words = Vec::new();
    each_word(text, |word| words.push((place(word, text), fold(word))));
    for first in 0..words.len() {
        let mut joined = String::new();
        for (last, word) in &words[first..] {
            join(&mut joined, word);
            if codes.iter().any(|code| **code == joined) {
                found.push(words[first].0.start..last.end);
            }
            if !codes.iter().any(|code| code.starts_with(&joined)) {
                break;
            }
        }
    }
    found
}

impl Words {
    fn new(query: &str, language: &Language) -> Self {
        let analyzer = Analyzer::new(language);
        let (mut telling, mut all) = (HashSet::new(), HashSet::new());
        each_word(query, |word| {
            if !analyzer.is_stop_word(word) {
                telling.insert(analyzer.form(word));
            }
            all.insert(analyzer.form(word));
        });
        let forms = if telling.is_empty() { all } else { telling };
        Self { beginnings: analyzer.beginnings(&forms), analyzer, forms }
    }

    fn has(&self, word: &str) -> bool {
        let word = lower(word);
        if self.beginnings.as_ref().is_some_and(|beginnings| !beginnings.may_have(&word)) {
            return false;
        }
        // Of a word that tells nothing, another form may be one of the query's.
        self.forms.contains(&self.analyzer.form(&word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn highlighted(query: &str, language: &str, text: &str) -> Vec<String> {
        let characters: Vec<char> = text.chars().collect();
        let cut = |span: Span| characters[span.start as usize..span.end as usize].iter().collect();
        let spans = Highlighter::new(query).highlights(text, Some(&Language::new(language)), &[]);
        spans.into_iter().map(cut).collect()
    }

    #[test]
    fn words_are_found_in_any_form() {
        let text = "Ducks — they swim, and what the DUCK eats… naïve duckweed!";
        assert_eq!(highlighted("what do swimming ducks eat?", "en", text), ["Ducks", "swim", "DUCK", "eats"]);
        assert_eq!(highlighted("Häuser", "de", "Das Haus, die Häuser; HÄUSER."), ["Haus", "Häuser", "HÄUSER"]);
        assert_eq!(highlighted("ERR-4821", "en", "Error err 4821: see ERR-4822."), ["err", "4821", "ERR"]);
        assert_eq!(highlighted("水草を", "ja", "鴨は水草を食べる。"), ["水草を"], "pairs that overlap are one");
    }

    #[test]
    fn spans_count_characters() {
        let spans = Highlighter::new("duck").highlights("ä😀 duck, duck", None, &[]);
        assert_eq!(spans, [Span { start: 3, end: 7 }, Span { start: 9, end: 13 }]);
    }

    #[test]
    fn codes_are_found_however_they_are_joined() {
        let text = "Error ERR-4821 of v2.14.3: not ERR-48210, but err4821 and 2.14.3";
        let terms = ["err4821", "4821", "2.14.3", "pump"].map(str::to_owned);
        let spans = Highlighter::new("err_4821 2.14.3").highlights(text, None, &terms);
        let cut: Vec<&str> = spans.iter().map(|span| &text[span.start as usize..span.end as usize]).collect();
        assert_eq!(cut, ["ERR-4821", "v2.14.3", "ERR", "err4821", "2.14.3"]);
    }

    #[test]
    fn nothing_is_marked_where_nothing_matches() {
        for (query, text) in [("duck", ""), ("", "duck"), ("the duck", "the goose"), ("…", "…")] {
            assert!(highlighted(query, "en", text).is_empty(), "{query:?} in {text:?}");
        }
        assert_eq!(highlighted("to be", "en", "not to be"), ["to", "be"], "where there is nothing else");
    }
}
