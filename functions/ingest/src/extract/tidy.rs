use unicode_normalization::UnicodeNormalization;

/// Words that follow a hyphen without being the rest of a word: "Ein- und Ausgabe", "pre- and postfix".
const AFTER_A_REAL_HYPHEN: [&str; 8] = ["und", "oder", "bis", "sowie", "and", "or", "to", "bzw."];

/// The same text in one spelling: composed characters (NFC), ligatures as letters, single spaces, no soft hyphens, no empty
/// lines, and words that a line end had broken in one piece.
pub(crate) fn tidy(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(line).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

fn line(text: &str) -> String {
    let mut letters = String::with_capacity(text.len());
    // Most texts need no composing, which takes much longer than the rest.
    if text.is_ascii() {
        text.chars().for_each(|c| spell(&mut letters, c));
    } else {
        text.nfc().for_each(|c| spell(&mut letters, c));
    }
    let mut tidied = String::with_capacity(letters.len());
    for word in letters.split_whitespace() {
        if is_broken(&tidied, word) {
            tidied.pop();
        } else if !tidied.is_empty() {
            tidied.push(' ');
        }
        tidied.push_str(word);
    }
    tidied
}

fn spell(letters: &mut String, c: char) {
    match c {
        '\u{ad}' | '\u{200b}' | '\u{feff}' => {}
        '\u{fb00}' => letters.push_str("ff"),
        '\u{fb01}' => letters.push_str("fi"),
        '\u{fb02}' => letters.push_str("fl"),
        '\u{fb03}' => letters.push_str("ffi"),
        '\u{fb04}' => letters.push_str("ffl"),
        '\u{fb05}' | '\u{fb06}' => letters.push_str("st"),
        c if c.is_control() => letters.push(' '),
        c => letters.push(c),
    }
}

/// Whether `word` is the rest of a word that a line end broke: a hyphen between lower-case letters.
fn is_broken(before: &str, word: &str) -> bool {
    let mut last = before.chars().rev();
    last.next() == Some('-')
        && last.next().is_some_and(char::is_lowercase)
        && word.starts_with(char::is_lowercase)
        && !AFTER_A_REAL_HYPHEN.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn spelling_is_made_one() {
        assert_eq!(line("  a\u{a0} b\tc "), "a b c");
        assert_eq!(line("Deﬁnition oﬀen"), "Definition offen");
        assert_eq!(line("u\u{308}ber"), "über");
        assert_eq!(line("ihre Übungsauf- gaben und Ein- und Ausgabe"), "ihre Übungsaufgaben und Ein- und Ausgabe");
        assert_eq!(line("the 1990- era"), "the 1990- era");
    }
}
