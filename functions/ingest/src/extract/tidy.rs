use unicode_normalization::UnicodeNormalization;

/// Words that follow a hyphen without being the rest of a word: "Ein- und Ausgabe", "pre- and postfix".
const AFTER_A_REAL_HYPHEN: [&str; 8] = ["und", "oder", "bis", "sowie", "and", "or", "to", "bzw."];

/// A text in one spelling.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tidy {
    pub(crate) text: String,
    /// Where in it words were broken, in bytes.
    pub(crate) joints: Vec<usize>,
}

/// The same text in one spelling: composed characters (NFC), ligatures as letters, single spaces, no soft hyphens, no empty
/// lines, and words that a line end had broken in one piece.
pub(crate) fn tidy(text: &str) -> Tidy {
    let mut tidy = Tidy::default();
    text.lines().for_each(|text| tidy.line(text));
    tidy
}

impl Tidy {
    fn line(&mut self, text: &str) {
        let letters = letters(text);
        let mut words = letters.split_whitespace();
        let Some(first) = words.next() else { return };
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(first);
        for word in words {
            if is_broken(&self.text, word) {
                self.text.pop();
                self.joints.push(self.text.len());
            } else {
                self.text.push(' ');
            }
            self.text.push_str(word);
        }
    }
}

fn letters(text: &str) -> String {
    let mut letters = String::with_capacity(text.len());
    // Most texts need no composing, which takes much longer than the rest.
    if text.is_ascii() {
        text.chars().for_each(|c| spell(&mut letters, c));
    } else {
        text.nfc().for_each(|c| spell(&mut letters, c));
    }
    letters
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
    use super::{Tidy, tidy};

    #[test]
    fn spelling_is_made_one() {
        let text = |text| tidy(text).text;
        assert_eq!(text("  a\u{a0} b\tc \n \n d"), "a b c\nd");
        assert_eq!(text("Deﬁnition oﬀen"), "Definition offen");
        assert_eq!(text("u\u{308}ber"), "über");
        assert_eq!(text("the 1990- era"), "the 1990- era");
    }

    #[test]
    fn broken_words_are_joined_and_it_is_known_where() {
        let tidied = tidy("ihre Übungsauf- gaben und Ein- und Ausgabe\nfort- gesetzt");
        assert_eq!(tidied.text, "ihre Übungsaufgaben und Ein- und Ausgabe\nfortgesetzt");
        let joints: Vec<_> = tidied.joints.iter().map(|at| tidied.text.split_at(*at).1).collect();
        assert_eq!(joints, ["gaben und Ein- und Ausgabe\nfortgesetzt", "gesetzt"]);
        assert_eq!(tidy(" \n"), Tidy::default());
    }
}
