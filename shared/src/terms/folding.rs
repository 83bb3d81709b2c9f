use unicode_normalization::UnicodeNormalization;

/// The text compatibility-normalised (NFKC), without differences of case, without the accents of Latin letters and without
/// Arabic vowel signs, which some write and some do not.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut base = ' ';
    text.nfkd()
        .filter(|c| {
            let is_left_out = match c {
                '\u{300}'..='\u{36f}' => base.is_ascii_alphabetic(),
                '\u{640}' | '\u{64b}'..='\u{652}' | '\u{ad}' | '\u{200b}'..='\u{200d}' => true,
                _ => {
                    base = *c;
                    false
                }
            };
            !is_left_out
        })
        // Capitals first: ß is SS, and so ss.
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfc()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn what_differs_in_writing_only_is_the_same() {
        assert_eq!(fold("ＥＲＲ Straße ÉTÉ ﬁnal"), "err strasse ete final");
        assert_eq!(fold("ΣΟΦΟΣ σοφός"), fold("σοφοσ ΣΟΦΌΣ"));
        assert_eq!(fold("مُحَمَّد"), "محمد");
        // Marks that make other letters stay.
        assert_eq!(fold("がй"), "がй");
    }
}
