//! What `char` says of characters, without a search in its tables for those that most texts are made of.

/// Which characters of ASCII are letters or digits.
const ASCII_ALPHANUMERIC: [bool; 128] = {
    let (mut are, mut c) = ([false; 128], 0_u8);
    while c < 128 {
        are[c as usize] = c.is_ascii_alphanumeric();
        c += 1;
    }
    are
};

/// Whether it is a letter or a digit.
pub(crate) fn is_alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric() || !c.is_ascii() && is_usual_letter(c).unwrap_or_else(|| c.is_alphanumeric())
}

/// Where the first letter or digit stands in a text, or what is first neither (`is`); in bytes.
#[inline]
pub(crate) fn first_alphanumeric(text: &str, is: bool) -> Option<usize> {
    let (bytes, mut at) = (text.as_bytes(), 0);
    while let Some(byte) = bytes.get(at) {
        if byte.is_ascii() {
            if ASCII_ALPHANUMERIC[usize::from(*byte)] == is {
                return Some(at);
            }
            at += 1;
        } else {
            let c = text[at..].chars().next()?;
            if is_alphanumeric(c) == is {
                return Some(at);
            }
            at += c.len_utf8();
        }
    }
    None
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
            let word = c.to_string();
            for is in [true, false] {
                let (other, place) = (if is { ". " } else { "éa" }, (c.is_alphanumeric() == is).then_some(0));
                assert_eq!(first_alphanumeric(&word, is), place, "{c:?}");
                assert_eq!(first_alphanumeric(&format!("{other}{word}"), is), place.map(|_| other.len()), "{c:?}");
            }
        }
    }
}
