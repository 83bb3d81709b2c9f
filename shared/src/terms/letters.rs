//! What `char` says of characters, without a search in its tables for those that most texts are made of.

/// Whether it is a letter or a digit.
pub(crate) fn is_alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric() || !c.is_ascii() && is_usual_letter(c).unwrap_or_else(|| c.is_alphanumeric())
}

/// Whether it is a digit or another number.
pub(crate) fn is_numeric(c: char) -> bool {
    c.is_ascii_digit() || !c.is_ascii() && is_usual_letter(c).is_none() && c.is_numeric()
}

/// Whether it is a letter, or neither that nor a number; none where that must be looked up.
fn is_usual_letter(c: char) -> Option<bool> {
    match c {
        'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ɏ' | 'Α'..='Ρ' | 'Σ'..='ώ' | 'Ѐ'..='ҁ' => Some(true),
        // Dashes, quotation marks, ellipsis.
        '‐'..='‧' | '、' | '。' => Some(false),
        _ => is_caseless_letter(c).then_some(true),
    }
}

/// Whether it is a Hebrew or Arabic letter, kana, a Chinese character or a Korean syllable; not all are known here.
pub(super) fn is_caseless_letter(c: char) -> bool {
    let is_hebrew_or_arabic = matches!(c, '\u{5d0}'..='\u{5ea}' | '\u{621}'..='\u{64a}');
    is_hebrew_or_arabic || matches!(c, 'ぁ'..='ゖ' | 'ァ'..='ヺ' | 'ー' | '一'..='\u{9fff}' | '가'..='힣')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_what_they_are() {
        for c in '\0'..=char::MAX {
            assert_eq!(is_alphanumeric(c), c.is_alphanumeric(), "{c:?}");
            assert_eq!(is_numeric(c), c.is_numeric(), "{c:?}");
        }
    }
}
