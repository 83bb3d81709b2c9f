//! Words without their endings, in a way that does not ask for their language: only their script is known of what somebody
//! types. It may take too much away, as long as it does so everywhere.

use rust_stemmers::{Algorithm, Stemmer};

use super::script::Script;

/// The shortest that is left of a word.
const SHORTEST: usize = 3;

/// A folded word without the endings of plurals and cases.
pub(super) fn stem(word: &str) -> String {
    let algorithm = match word.chars().next().map(Script::of) {
        Some(Script::Arabic) => Algorithm::Arabic,
        Some(Script::Cyrillic) => Algorithm::Russian,
        Some(Script::Greek) => Algorithm::Greek,
        _ => return latin(word),
    };
    Stemmer::create(algorithm).stem(without_article(word)).into_owned()
}

/// An Arabic word without its article, which the stemmer leaves on some and not on others.
pub(crate) fn without_article(word: &str) -> &str {
    word.strip_prefix("ال").filter(|rest| rest.chars().count() >= SHORTEST).unwrap_or(word)
}

/// What light stemmers for English, German, French, Italian and Spanish have in common (Savoy, "Light Stemming Approaches for
/// the French, Portuguese, German and Hungarian Languages", 2006): a plural `s`, then a case or a vowel at the end.
fn latin(word: &str) -> String {
    let without = |word: &str, ending: &str| -> Option<usize> {
        let stem = word.strip_suffix(ending)?;
        (stem.chars().count() >= SHORTEST).then_some(stem.len())
    };
    let mut stem = word;
    if !["ss", "us", "is"].iter().any(|ending| stem.ends_with(ending)) {
        stem = &stem[..without(stem, "s").unwrap_or(stem.len())];
    }
    let endings = ["en", "er", "em", "e", "a", "i", "o"];
    stem = &stem[..endings.iter().find_map(|ending| without(stem, ending)).unwrap_or(stem.len())];
    match without(stem, "y") {
        Some(end) => format!("{}i", &stem[..end]),
        None => stem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn singular_and_plural_are_the_same() {
        for (one, many) in [
            ("nozzle", "nozzles"),
            ("assembly", "assemblies"),
            ("ente", "enten"),
            ("gato", "gatos"),
            ("anatra", "anatre"),
            ("bus", "bus"),
            ("утка", "утки"),
            ("البطة", "بطة"),
        ] {
            assert_eq!(stem(one), stem(many), "{one}");
        }
    }

    #[test]
    fn something_is_left() {
        for word in ["es", "ees", "ase", "oye", "e", "ß", "дом"] {
            assert!(!stem(word).is_empty(), "{word}");
        }
    }
}
