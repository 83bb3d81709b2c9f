//! Exact terms: the words of a text that embedding models do not know and people search for, such as names, part numbers
//! and error codes.
//!
//! A word is one if it is no whole word of the vocabulary of such a model, or holds digits or capitals within, or is
//! joined of several (`ERR-4821`, `nginx.conf`, `jane@example.com`). Scripts without spaces give pairs of characters. Terms
//! are compared in one form, whatever language they are in, since that of a few words that somebody types is not known:
//! compatibility-normalised (NFKC), folded in case and in the accents of Latin letters, without endings (`stem`), and
//! without what joins them.

mod folding;
mod letters;
mod scan;
mod script;
mod stem;
mod vocabulary;

use std::collections::HashSet;
use std::fmt;

pub(crate) use folding::{fold, is_bare, lower, plain};
pub(crate) use letters::{first_alphanumeric, is_alphanumeric, is_numeric};
pub(crate) use scan::{Kind, Words, join};
pub(crate) use script::{paired, pairs};
pub(crate) use stem::without_article;

/// The longest term, in characters. What is longer is known by its beginning.
const LONGEST: usize = 64;

/// A word in the form in which such words are compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Term(String);

impl Term {
    /// Its text: letters, digits, and points between digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A term where it stands in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Occurrence {
    pub(crate) term: Term,
    /// What it is.
    pub(crate) kind: Kind,
    /// How many words of the text it is made of.
    pub(crate) words: Words,
}

/// The exact terms of a text, each once. If there are more than `most`, codes and joined words come before other words, and
/// those before pairs of characters.
pub fn exact_terms(text: &str, most: usize) -> Vec<Term> {
    occurrences(text, most).into_iter().map(|occurrence| occurrence.term).collect()
}

/// The same with what is known of each.
pub(crate) fn occurrences(text: &str, most: usize) -> Vec<Occurrence> {
    let (mut occurrences, mut seen) = (Vec::new(), HashSet::new());
    scan::scan(text, |mut term, kind, words| {
        if let Some((end, _)) = term.char_indices().nth(LONGEST) {
            term.truncate(end);
        }
        if seen.insert(term.clone()) {
            occurrences.push(Occurrence { term: Term(term), kind, words });
        }
    });
    if occurrences.len() > most {
        occurrences.sort_by_key(|occurrence| occurrence.kind);
        occurrences.truncate(most);
    }
    occurrences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<String> {
        exact_terms(text, 100).into_iter().map(|term| term.0).collect()
    }

    #[test]
    fn common_words_are_none() {
        assert!(terms("What do the birds on this lake eat in 1975, or on page 12 of 3.5?").is_empty());
        assert!(terms("INTRODUCTION TO THE HISTORY OF WATER").is_empty());
        assert!(terms("").is_empty());
    }

    #[test]
    fn a_code_is_found_joined_and_by_its_parts_however_it_is_typed() {
        assert_eq!(terms("Error ERR-4821 occurred."), ["err4821", "err", "4821"]);
        for typed in ["err4821", "ERR_4821", "Err.4821", "ERR\u{2011}4821", "ＥＲＲ－４８２１"] {
            assert_eq!(terms(typed)[0], "err4821", "{typed}");
        }
        assert_eq!(terms("err 4821"), ["err", "4821"]);
        assert_eq!(terms("3F2A9C1B-77d1"), ["3f2a9c1b77d1", "3f2a9c1b", "77d1"]);
        assert_eq!(terms("AB-1234-XL"), ["ab1234xl", "1234"]);
    }

    #[test]
    fn digits_that_meet_stay_apart() {
        assert_eq!(terms("v2.14.3"), ["2.14.3"], "also written without the letter");
        assert_eq!(terms("1.2.3 is not 123"), ["1.2.3"]);
        assert_eq!(terms("2.14.3-rc1"), ["2.14.3rc1", "rc1"]);
        assert_eq!(terms("12,345 of 98.7654"), ["98.7654"]);
    }

    #[test]
    fn addresses_and_paths_are_found_whole_by_their_names_and_by_their_words() {
        assert_eq!(terms("jane.qwert@example.com"), ["janeqwertexamplecom", "janeqwert", "examplecom", "qwert"]);
        assert_eq!(terms("/etc/nginx/conf.d/"), ["etcnginxconfd", "confd", "nginx", "conf"]);
        assert_eq!(terms(r"C:\Windows\hosts.txt"), ["cwindowshoststxt", "hoststxt", "txt"]);
        assert_eq!(terms("https://docs.rs/serde"), ["httpsdocsrsserd", "docsr", "http", "doc", "serd"]);
    }

    #[test]
    fn forms_of_a_word_are_the_same_term() {
        for (one, other) in [
            ("Liposome", "liposomes’"),
            ("Hauptbahnhof", "Hauptbahnhofs"),
            ("Stockente", "Stockenten"),
            ("Zyzzogeton's", "zyzzogeton"),
            ("Müllerstraße", "MULLERSTRASSE"),
            ("предложение", "предложения"),
            ("getUserName", "GETUSERNAME"),
        ] {
            assert_eq!(terms(one), terms(other), "{one}");
            assert_eq!(terms(one).len(), 1, "{one}");
        }
        assert_ne!(terms("neuroglia"), terms("neurogenic"));
    }

    #[test]
    fn scripts_without_spaces_give_pairs_of_characters() {
        assert_eq!(terms("東京都の鴨は、データを食べる"), ["東京", "京都", "鴨", "デー", "ータ", "食"]);
        assert_eq!(terms("오리는"), ["오리", "리는"]);
        assert_eq!(terms("型番はAB-1234です"), ["型番", "ab1234", "1234"]);
    }

    #[test]
    fn the_most_telling_ones_are_kept() {
        let text = "Zyzzogeton qwertish 東京都 ERR-4821";
        let kept: Vec<_> = exact_terms(text, 3).into_iter().map(|term| term.0).collect();
        assert_eq!(kept, ["err4821", "4821", "zyzzogeton"]);
        let endless = exact_terms(&"a1".repeat(10_000), 3);
        assert_eq!(endless[0].as_str().chars().count(), LONGEST);
    }
}
