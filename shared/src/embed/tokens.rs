/// The longest run of letters that a WordPiece vocabulary of English reads as one token, on average.
const LETTERS_PER_TOKEN: usize = 4;

/// An estimate of the tokens in a text for the usual subword vocabularies, for embedders whose tokenizer is not at hand.
/// Letters outside ASCII and digits count nearly one each, since such vocabularies know few runs of them; so the estimate
/// is rarely too low.
pub fn estimated_tokens(text: &str) -> usize {
    let mut tokens = 0;
    let mut letters = 0;
    for c in text.chars() {
        if c.is_ascii_alphabetic() {
            letters += 1;
            continue;
        }
        tokens += word_tokens(letters);
        letters = 0;
        if !c.is_whitespace() {
            tokens += 1;
        }
    }
    tokens + word_tokens(letters)
}

/// A short word is one token; a long one falls into pieces.
fn word_tokens(letters: usize) -> usize {
    match letters {
        0 => 0,
        1..=6 => 1,
        _ => letters.div_ceil(LETTERS_PER_TOKEN),
    }
}

#[cfg(test)]
mod tests {
    use super::estimated_tokens;

    #[test]
    fn words_digits_and_signs_count() {
        assert_eq!(estimated_tokens(""), 0);
        assert_eq!(estimated_tokens("  \n "), 0);
        assert_eq!(estimated_tokens("The duck swims."), 4);
        assert_eq!(estimated_tokens("ERR-4821"), 6);
        assert_eq!(estimated_tokens("حبيبي"), 5);
        assert_eq!(estimated_tokens("Zusammenhang"), 3);
    }
}
