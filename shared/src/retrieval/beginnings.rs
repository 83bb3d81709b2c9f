use unicode_normalization::char::decompose_canonical;

use crate::terms::{is_bare, without_article};

/// What words begin with that are looked for. Taking endings and accents off leaves the first two letters of a word what they
/// are, so most words of a text are seen at a glance to be none of them, and need not be compared.
pub(super) struct Beginnings {
    /// Those there are, each as one bit. Two may share one: then a word is compared in vain.
    bits: [u64; WORDS],
}

const WORDS: usize = 64;

impl Beginnings {
    /// Of the forms in which words are compared.
    pub(super) fn of<'a>(forms: impl IntoIterator<Item = &'a String>) -> Self {
        let mut bits = [0; WORDS];
        for form in forms {
            let (word, bit) = place(beginning(form));
            bits[word] |= bit;
        }
        Self { bits }
    }

    /// Whether a word in lower case, with or without its ending, may have one of the forms.
    pub(super) fn may_have(&self, word: &str) -> bool {
        let (first, second) = beginning(word);
        // Of a word that is short, one letter may be left.
        [(first, second), (first, None)].into_iter().map(place).any(|(word, bit)| self.bits[word] & bit != 0)
    }
}

/// The first two letters without their accents.
fn beginning(word: &str) -> (Option<char>, Option<char>) {
    // Most words: letters that are what they are.
    if let [first, second, ..] = word.as_bytes()
        && first.is_ascii()
        && second.is_ascii()
    {
        return (Some(char::from(*first)), Some(second_letter(char::from(*second))));
    }
    let mut letters = without_article(word).chars().map(base);
    let (first, second) = (letters.next(), letters.next());
    (first, second.map(second_letter))
}

/// `y` becomes `i` at the end of a word, and so does the second letter of `dying`.
fn second_letter(letter: char) -> char {
    if letter == 'y' { 'i' } else { letter }
}

fn base(letter: char) -> char {
    if is_bare(letter) {
        return letter;
    }
    let mut base = None;
    decompose_canonical(letter, |c| _ = base.get_or_insert(c));
    base.unwrap_or(letter)
}

fn place((first, second): (Option<char>, Option<char>)) -> (usize, u64) {
    let number = |letter: Option<char>| letter.map_or(0, u32::from);
    let mixed = (number(first) << 5 ^ number(second)).wrapping_mul(0x9e37_79b1) >> 20;
    (mixed as usize / 64, 1 << (mixed % 64))
}

#[cfg(test)]
mod tests {
    use super::super::words::Analyzer;
    use super::*;
    use crate::language::Language;
    use crate::terms::lower;

    #[test]
    fn no_word_is_passed_over_that_has_the_form() {
        for code in
            ["da", "de", "el", "en", "es", "fi", "fr", "hu", "it", "nl", "no", "pt", "ro", "ru", "sv", "tr", "xx"]
        {
            let language = Language::new(code);
            let analyzer = Analyzer::new(&language);
            let telling =
                ["dying", "skies", "häuser", "haus", "ὁδός", "άνθρωπος", "ёлка", "йогурт", "البطة", "n’existe", "5"];
            for word in language.stop_words().iter().chain(&telling).map(|word| lower(word)) {
                let beginnings = analyzer.beginnings([&analyzer.form(&word)]).unwrap();
                assert!(beginnings.may_have(&word), "{code} {word}");
            }
        }
        for code in ["ar", "ta"] {
            assert!(Analyzer::new(&Language::new(code)).beginnings([]).is_none(), "prefixes are taken off as well");
        }
    }

    #[test]
    fn most_words_are_passed_over() {
        let beginnings = Beginnings::of(&["duck".to_owned(), "a".to_owned()]);
        let passed = |words: &[&str]| words.iter().filter(|word| beginnings.may_have(word)).count();
        assert_eq!(passed(&["duck", "ducks", "dump", "a", "as", "å"]), 6);
        assert_eq!(passed(&["goose", "dock", "luck", "the", "кряква", "鴨を", ""]), 0);
    }
}
