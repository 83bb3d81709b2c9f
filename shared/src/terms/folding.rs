use unicode_normalization::UnicodeNormalization;

use super::letters::is_caseless_letter;

/// The text compatibility-normalised (NFKC) and without differences of case.
pub(crate) fn lower(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let (mut folded, mut at) = (String::with_capacity(text.len()), 0);
    // Where the last character begins, here and there.
    let mut last = (0, 0);
    loop {
        let ascii = text.as_bytes()[at..].iter().position(|byte| !byte.is_ascii()).unwrap_or(text.len() - at);
        if ascii > 0 {
            let start = folded.len();
            folded.push_str(&text[at..at + ascii]);
            folded[start..].make_ascii_lowercase();
            at += ascii;
            last = (folded.len() - 1, at - 1);
        }
        let Some(c) = text[at..].chars().next() else { return folded };
        if let Some(c) = folded_alone(c) {
            last = (folded.len(), at);
            folded.push(c);
            at += c.len_utf8();
            continue;
        }
        // It may compose with the one before it, and with those behind it.
        let end = text[at..].find(|c| folded_alone(c).is_some()).map_or(text.len(), |length| at + length);
        folded.truncate(last.0);
        folded.extend(folded_together(&text[last.1..end]));
        (last, at) = ((folded.len(), end), end);
    }
}

/// What a character becomes in any text; none if that depends on those around it, or takes several.
fn folded_alone(c: char) -> Option<char> {
    match c {
        '\0'..='\x7f' => Some(c.to_ascii_lowercase()),
        'À'..='Ö' | 'Ø'..='Þ' | 'Α'..='Ρ' | 'Σ'..='Ω' | 'А'..='Я' => char::from_u32(u32::from(c) + 0x20),
        'İ' | 'ı' | 'Ĳ' | 'ĳ' | 'Ŀ' | 'ŀ' | 'ŉ' => None,
        'Ā'..='ž' | 'Ș'..='ț' => c.to_lowercase().next(),
        // In lower case; dashes and quotation marks.
        'à'..='ö' | 'ø'..='þ' | 'α'..='ρ' | 'σ'..='ω' | 'а'..='џ' | '‐' | '–' | '—' | '‘'..='‟' | '•' | '、' | '。' => {
            Some(c)
        }
        _ => is_caseless_letter(c).then_some(c),
    }
}

/// By the definition, which takes time.
fn folded_together(text: &str) -> impl Iterator<Item = char> {
    // Capitals first: ß is SS, and so ss.
    text.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc()
}

/// Whether it is a letter in lower case that has no accent; not all are known here.
pub(crate) fn is_bare(c: char) -> bool {
    matches!(c, 'a'..='z' | 'α'..='ρ' | 'σ'..='ω' | 'а'..='и' | 'к'..='я')
}

/// A text in lower case without the accents of Latin letters and without Arabic vowel signs, which some write and some do not.
pub(crate) fn plain(lower: &str) -> String {
    if lower.is_ascii() || lower.chars().all(is_bare) {
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
    use proptest::prelude::*;
    use unicode_normalization::char::canonical_combining_class;
    use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

    use super::{fold, folded_alone, folded_together, is_bare, lower};

    #[test]
    fn what_differs_in_writing_only_is_the_same() {
        assert_eq!(fold("ＥＲＲ Straße ÉTÉ ﬁnal"), "err strasse ete final");
        assert_eq!(fold("ΣΟΦΌΣ"), fold("σοφός"));
        assert_eq!(fold("مُحَمَّد"), "محمد");
        // Marks that make other letters stay.
        assert_eq!(fold("がй"), "がй");
    }

    #[test]
    fn characters_that_are_folded_alone_are_folded_in_the_same_way_among_others() {
        for (c, alone) in ('\0'..=char::MAX).filter_map(|c| folded_alone(c).map(|alone| (c, alone))) {
            assert!(folded_together(c.encode_utf8(&mut [0; 4])).eq([alone]), "{c:?}");
            for c in [c, alone] {
                // What composes with a character before it is not normalised for certain (UAX #15, 9).
                let is_settled = is_nfkc_quick([c].into_iter()) == IsNormalized::Yes;
                assert!(is_settled && canonical_combining_class(c) == 0, "{c:?}");
            }
        }
    }

    #[test]
    fn bare_letters_have_nothing_to_be_taken_off() {
        for c in ('\0'..=char::MAX).filter(|c| is_bare(*c)) {
            assert!([c].into_iter().nfd().eq([c]) && folded_alone(c) == Some(c), "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn a_text_is_folded_by_the_definition(text in "([a-zA-Z .]{0,3}[à-ÿ\u{300}-\u{316}ſßİıﬁΣς가-각\u{11a8}か\u{3099}ﷺé…“–]{0,3}|\\PC{0,3}){0,12}") {
            prop_assert_eq!(lower(&text), folded_together(&text).collect::<String>());
        }
    }
}
