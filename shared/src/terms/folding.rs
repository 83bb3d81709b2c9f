use unicode_normalization::UnicodeNormalization;

/// The text compatibility-normalised (NFKC) and without differences of case.
pub(crate) fn lower(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Capitals first: ß is SS, and so ss.
    text.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc().collect()
}

/// A text in lower case without the accents of Latin letters and without Arabic vowel signs, which some write and some do not.
pub(crate) fn plain(lower: &str) -> String {
    if lower.is_ascii() {
        return lower.to_owned();
    }
    let mut base = ' ';
    let is_kept = |c: &char| match c {
        '\u{300}'..='\u{36f}' => !base.is_ascii_alphabetic(),
        '\u{640}' | '\u{64b}'..='\u{652}' | '\u{ad}' | '\u{200b}'..='\u{200d}' => false,
        _ => {
            base = *c;
            true
        }
    };
    lower.nfd().filter(is_kept).nfc().collect()
}

/// Both.
pub(crate) fn fold(text: &str) -> String {
    plain(&lower(text))
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn what_differs_in_writing_only_is_the_same() {
        assert_eq!(fold("ＥＲＲ Straße ÉTÉ ﬁnal"), "err strasse ete final");
        assert_eq!(fold("ΣΟΦΌΣ"), fold("σοφός"));
        assert_eq!(fold("مُحَمَّد"), "محمد");
        // Marks that make other letters stay.
        assert_eq!(fold("がй"), "がй");
    }
}
