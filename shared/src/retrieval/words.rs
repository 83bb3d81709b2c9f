use std::collections::HashSet;
use std::sync::LazyLock;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

static STEMMER: LazyLock<Stemmer> = LazyLock::new(|| Stemmer::create(Algorithm::English));
static STOP_WORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| stop_words::lookup("en").unwrap_or_default().iter().copied().collect());

/// The words of a text as they are compared: compatibility-normalised (NFKC), in lower case, stemmed.
pub(super) fn words(text: &str) -> Vec<String> {
    text.nfkc().collect::<String>().to_lowercase().unicode_words().map(stem).collect()
}

/// The words of a text as they are compared (normalised, in lower case, stemmed), without those that stand in every text and so tell nothing about any.
pub fn content_words(text: &str) -> Vec<String> {
    let text = text.nfkc().collect::<String>().to_lowercase();
    text.unicode_words().filter(|word| !STOP_WORDS.contains(word)).map(stem).collect()
}

fn stem(word: &str) -> String {
    STEMMER.stem(word).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_by_their_stems() {
        assert_eq!(words("The DUCKS’ swimming, ﬁnally"), ["the", "duck", "swim", "final"]);
        assert_eq!(content_words("What do the ducks eat?"), ["duck", "eat"]);
    }
}
