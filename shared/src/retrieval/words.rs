//! Words as they are compared within a language.

use std::collections::HashSet;
use std::sync::LazyLock;

use rust_stemmers::Stemmer;
use unicode_normalization::char::is_combining_mark;

use super::beginnings::Beginnings;
use crate::language::Language;
use crate::terms::{first_alphanumeric, is_alphanumeric, lower, paired, pairs, plain, without_article};

static ENGLISH: LazyLock<Analyzer> = LazyLock::new(|| Analyzer::new(&Language::default()));

/// The words of a text as they are compared (normalised, in lower case, stemmed as English), without those that stand in every
/// text and so tell nothing about any.
pub fn content_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    each_word(&lower(text), |word| {
        if !ENGLISH.is_stop_word(word) {
            words.push(ENGLISH.form(word));
        }
    });
    words
}

/// Makes the words of one language comparable.
pub(super) struct Analyzer {
    stemmer: Option<Stemmer>,
    stop_words: HashSet<String>,
    has_prefixes: bool,
}

impl Analyzer {
    /// One for a language.
    pub(super) fn new(language: &Language) -> Self {
        Self {
            stemmer: language.stemmer().map(Stemmer::create),
            stop_words: language.stop_words().iter().map(|word| lower(word)).collect(),
            has_prefixes: matches!(language.code(), "ar" | "ta"),
        }
    }

    /// Whether a word in lower case tells nothing.
    pub(super) fn is_stop_word(&self, word: &str) -> bool {
        self.stop_words.contains(word)
    }

    /// A word in lower case as it is compared: without endings and accents.
    pub(super) fn form(&self, word: &str) -> String {
        match &self.stemmer {
            Some(stemmer) => plain(&stemmer.stem(without_article(word))),
            None => plain(word),
        }
    }

    /// What words begin with that have one of these forms; none if that may be anything, since prefixes are taken off too.
    pub(super) fn beginnings<'a>(&self, forms: impl IntoIterator<Item = &'a String>) -> Option<Beginnings> {
        (!self.has_prefixes).then(|| Beginnings::of(forms))
    }
}

/// The words of a text in lower case: stretches of letters and digits, numbers with their points, and where there are no
/// spaces between words, pairs of characters.
pub(super) fn each_word<'a>(lower: &'a str, mut found: impl FnMut(&'a str)) {
    for (has_pairs, part) in paired(lower) {
        if has_pairs {
            pairs(part).for_each(&mut found);
            continue;
        }
        let mut rest = part;
        while let Some(start) = first_alphanumeric(rest, true) {
            let (word, after) = rest[start..].split_at(word_length(&rest[start..]));
            found(word);
            // The ending of a genitive is no word.
            let genitive = after.strip_prefix(['\'', '’']).and_then(|ending| ending.strip_prefix('s'));
            rest = genitive.filter(|behind| !behind.starts_with(is_alphanumeric)).unwrap_or(after);
        }
    }
}

fn word_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut length = 0;
    loop {
        length += first_alphanumeric(&text[length..], false).unwrap_or(text.len() - length);
        if let Some(mark) = text[length..].chars().next().filter(|c| is_mark(*c)) {
            length += mark.len_utf8();
            continue;
        }
        let goes_on = bytes[length - 1].is_ascii_digit()
            && matches!(bytes.get(length), Some(b'.' | b','))
            && bytes.get(length + 1).is_some_and(u8::is_ascii_digit);
        if !goes_on {
            return length;
        }
        length += 1;
    }
}

fn is_mark(c: char) -> bool {
    !c.is_ascii() && is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let mut words = Vec::new();
        each_word(text, |word| words.push(word));
        words
    }

    #[test]
    fn words_are_told_apart() {
        assert_eq!(
            words("the duck's, err-4821 (v2.14.3) costs 1,200.50."),
            ["the", "duck", "err", "4821", "v2.14.3", "costs", "1,200.50"]
        );
        assert_eq!(words("l'avion d’alembert the ducks’ 's"), ["l", "avion", "d", "alembert", "the", "ducks", "s"]);
        assert_eq!(words("鴨を食べる v2"), ["鴨を", "を食", "食べ", "べる", "v2"]);
        assert!(words("… — !").is_empty());
    }

    #[test]
    fn words_are_compared_by_their_stems() {
        assert_eq!(content_words("What do the DUCKS’ ﬁnally eat?"), ["duck", "final", "eat"]);
        let forms = |language: &str, words: [&str; 2]| {
            let analyzer = Analyzer::new(&Language::new(language));
            words.map(|word| analyzer.form(&lower(word)))
        };
        for (language, words) in [
            ("de", ["Häuser", "Haus"]),
            ("fr", ["canards", "canard"]),
            ("es", ["canciones", "canción"]),
            ("ru", ["утки", "утка"]),
            ("ar", ["البحيرات", "بحيرات"]),
            ("ja", ["カモ", "カモ"]),
        ] {
            let [one, other] = forms(language, words);
            assert_eq!(one, other, "{language}");
        }
    }

    #[test]
    fn stop_words_are_those_of_the_language() {
        let german = Analyzer::new(&Language::new("de"));
        assert!(german.is_stop_word("nicht") && !german.is_stop_word("what"));
        assert!(Analyzer::new(&Language::new("el")).is_stop_word(&lower("ἧς")), "whatever the last sigma is");
        assert!(!Analyzer::new(&Language::new("xx")).is_stop_word("the"));
    }
}
