//! Finds the exact terms in a text.

use unicode_normalization::UnicodeNormalization;

use super::script::{Script, paired, pairs, stretches};
use super::stem::stem;
use super::{fold, vocabulary};

/// The shortest word that can be a term.
const SHORTEST: usize = 3;
/// Numbers with fewer digits are everywhere.
const FEWEST_DIGITS: usize = 4;

/// What a term is, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// With digits or capitals within, or an address or a path.
    Code,
    /// Joined of several words.
    Joined,
    Word,
    /// Two neighbouring characters.
    Pair,
}

/// How many words a term is made of, and how many the name has that it is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) number: usize,
    pub(crate) of: usize,
}

impl Words {
    const ONE: Self = Self { number: 1, of: 1 };
}

/// Hands out the terms of a text in their order, some more than once.
pub(super) fn scan(text: &str, mut found: impl FnMut(String, Kind, Words)) {
    let text: String = text.nfkc().collect();
    for (has_pairs, part) in paired(&text) {
        if has_pairs {
            // Without the grammar of Japanese.
            let telling = stretches(part).filter(|(script, _)| *script != Script::Hiragana);
            let pairs = telling.flat_map(|(_, stretch)| pairs(stretch));
            pairs.for_each(|pair| found(fold(pair), Kind::Pair, Words::ONE));
        } else {
            runs(part).for_each(|run| run_of(run, &mut found));
        }
    }
}

/// The longest stretches of letters and digits with single joints between them.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(char::is_alphanumeric)?;
        let run = &rest[start..];
        let mut end = 0;
        loop {
            end += word_length(&run[end..]);
            let joint = joint_length(&run[end..]);
            if joint == 0 || word_length(&run[end + joint..]) == 0 {
                break;
            }
            end += joint;
        }
        rest = &run[end..];
        Some(&run[..end])
    })
}

fn word_length(text: &str) -> usize {
    // Marks belong to the letters before them.
    text.find(|c: char| !c.is_alphanumeric() && !is_mark(c)).unwrap_or(text.len())
}

fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c) || matches!(c, '\u{ad}' | '\u{200c}' | '\u{200d}')
}

/// The length of what joins two words at the beginning of a text: one character, or a few as in `https://` and `C:\\`.
fn joint_length(text: &str) -> usize {
    let length = text.find(|c| !is_weak(c) && !is_strong(c)).unwrap_or(text.len());
    let joint = &text[..length];
    let joins = match joint.chars().count() {
        1 => true,
        2 | 3 => joint.chars().any(is_strong),
        _ => false,
    };
    if joins { length } else { 0 }
}

/// Joins what is one name.
fn is_weak(c: char) -> bool {
    matches!(c, '-' | '_' | '.' | '&' | '\u{2010}'..='\u{2013}' | '\u{2212}')
}

/// Joins names.
fn is_strong(c: char) -> bool {
    matches!(c, '/' | '\\' | '@' | ':')
}

fn is_joint(c: char) -> bool {
    is_weak(c) || is_strong(c)
}

fn run_of(run: &str, found: &mut impl FnMut(String, Kind, Words)) {
    let words = || run.split(is_joint).filter(|word| !word.is_empty());
    let of = words().count();
    if of > 1 {
        let is_number = of == 2 && words().all(|word| word.chars().all(|c| c.is_ascii_digit()));
        if is_number {
            if words().map(str::len).sum::<usize>() >= FEWEST_DIGITS {
                found(joined(words()), Kind::Code, Words::ONE);
            }
            return;
        }
        names(run, of, found);
    }
    // Of a name, only what would tell something by itself.
    let telling = words().filter(|word| of == 1 || word.chars().nth(SHORTEST - 1).is_some());
    telling.for_each(|word| word_of(word, Words { number: 1, of }, found));
}

/// A run as a whole, and the names in it.
fn names(run: &str, of: usize, found: &mut impl FnMut(String, Kind, Words)) {
    let several = run.contains(is_strong).then(|| run.split(is_strong));
    for name in std::iter::once(run).chain(several.into_iter().flatten()) {
        let words = name.split(is_joint).filter(|word| !word.is_empty());
        let number = words.clone().count();
        if number > 1 {
            let is_code = run.contains(is_strong) || name.contains(char::is_numeric);
            let kind = if is_code { Kind::Code } else { Kind::Joined };
            found(joined(words), kind, Words { number, of });
        }
    }
}

fn word_of(word: &str, words: Words, found: &mut impl FnMut(String, Kind, Words)) {
    let folded = fold(word);
    if folded.contains(char::is_numeric) {
        let runs = folded.split(|c: char| !c.is_ascii_digit());
        let numbers = runs.filter(|digits| digits.len() >= FEWEST_DIGITS && !is_year(digits)).map(str::to_owned);
        let numbers: Vec<_> = numbers.collect();
        if !folded.chars().all(char::is_numeric) {
            found(folded, Kind::Code, words);
        }
        for number in numbers {
            found(number, Kind::Code, words);
        }
    } else if folded.chars().count() >= SHORTEST {
        if has_capital_within(word) {
            found(stem(&folded), Kind::Code, words);
        } else if !vocabulary::knows(&folded) {
            found(stem(&folded), Kind::Word, words);
        }
    }
}

fn is_year(digits: &str) -> bool {
    digits.len() == FEWEST_DIGITS && (digits.starts_with("19") || digits.starts_with("20"))
}

fn has_capital_within(word: &str) -> bool {
    word.chars().zip(word.chars().skip(1)).any(|(one, next)| one.is_lowercase() && next.is_uppercase())
}

/// Words without what joins them.
fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut joined = String::new();
    words.for_each(|word| join(&mut joined, &fold(word)));
    if joined.contains(char::is_numeric) { joined } else { stem(&joined) }
}

/// Adds a folded word to those before it, with a point between digits, lest 1.23 be 12.3. Versions are written with a `v` before
/// them and without.
pub(crate) fn join(joined: &mut String, word: &str) {
    if joined.ends_with(char::is_numeric) && word.starts_with(char::is_numeric) {
        joined.push('.');
    }
    let version = word.strip_prefix('v').filter(|number| number.starts_with(|c: char| c.is_ascii_digit()));
    joined.push_str(if joined.is_empty() { version.unwrap_or(word) } else { word });
}
