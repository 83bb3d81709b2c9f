//! What a passage says, in statements: sentences, rows of tables, lists with what announces them.

use unicode_segmentation::UnicodeSegmentation;

use crate::hidden::is_hidden;

/// Longer ones are tables and formulas that lost their shape.
const LONGEST: usize = 600;
/// A heading is no longer, in bytes.
const HEADING: usize = 120;
/// Of the characters of a sentence, so many of a hundred must be letters.
const LETTERS: usize = 60;

/// Something that a passage says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) kind: Kind,
    /// What stands above it: headings, and the statement before.
    pub(super) context: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It can stand in an answer as it is.
    Sentence,
    /// The same, with its heading in front.
    Headed,
    /// A row of a table, each cell under its name.
    Row,
    /// Anything else: a heading, an item of a list, a sentence that was cut.
    Fragment,
}

/// The statements of a passage in their order.
pub(super) fn statements(text: &str) -> Vec<Statement> {
    let text = plain(text);
    let mut reader = Reader::default();
    for line in text.lines().map(str::trim) {
        reader.read(line);
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    said: Vec<Statement>,
    /// The headings so far, and what else stands by itself.
    headings: String,
    /// The names of the columns, while a table lasts.
    columns: Option<Vec<String>>,
    /// What announces a list, and its items so far.
    list: Option<(String, Vec<String>)>,
    /// The last line, if it may be the heading of what follows.
    heading: Option<String>,
}

impl Reader {
    fn read(&mut self, line: &str) {
        // Before it is taken for as many sentences as it has dots.
        if is_leader(line) {
            return;
        }
        if line.is_empty() {
            self.columns = None;
            // The items of a list may stand apart from what announces them.
            if self.list.as_ref().is_some_and(|(_, items)| !items.is_empty()) {
                self.end_list();
            }
        } else if line.contains('|') {
            self.row(line);
        } else if has_named_cells(line) {
            self.item(line);
            self.say(line.to_owned(), Kind::Row);
        } else {
            self.columns = None;
            let sentences = sentences(line);
            match sentences.as_slice() {
                [only] if !ends_sentence(only) && !only.ends_with(':') => {
                    self.item(only);
                    self.heading = Some((*only).clone());
                    self.say((*only).clone(), Kind::Fragment);
                }
                _ => {
                    self.end_list();
                    for sentence in sentences {
                        self.sentence(&sentence);
                    }
                }
            }
        }
    }

    fn sentence(&mut self, sentence: &str) {
        self.end_list();
        if sentence.ends_with(':') {
            self.list = Some((sentence.to_owned(), Vec::new()));
        } else if is_sentence(sentence) {
            // What stands under a heading is told with it, where the heading is what was asked for.
            if let Some(heading) = self.heading.take() {
                self.say(format!("{heading}: {sentence}"), Kind::Headed);
            }
            self.say(sentence.to_owned(), Kind::Sentence);
        } else {
            self.say(sentence.to_owned(), Kind::Fragment);
        }
        self.heading = None;
    }

    /// A row, with the names of the columns if the table has as many.
    fn row(&mut self, line: &str) {
        let cells: Vec<String> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        let filled = |cells: &[String]| cells.iter().filter(|cell| !cell.is_empty()).cloned().collect::<Vec<_>>();
        let text = match &self.columns {
            Some(columns) if columns.len() == cells.len() => {
                let named = columns.iter().zip(&cells).filter(|(_, cell)| !cell.is_empty());
                let named = named.map(|(column, cell)| match column.as_str() {
                    "" => cell.clone(),
                    column => format!("{column}: {cell}"),
                });
                named.collect::<Vec<_>>().join("; ")
            }
            _ => filled(&cells).join(" | "),
        };
        if self.columns.is_some() {
            self.item(&text);
        } else {
            self.columns = Some(cells);
        }
        self.say(text, Kind::Row);
    }

    fn item(&mut self, text: &str) {
        if let Some((_, items)) = &mut self.list {
            items.push(text.to_owned());
        }
    }

    fn end_list(&mut self) {
        match self.list.take() {
            Some((announcement, items)) if items.is_empty() => self.say(announcement, Kind::Fragment),
            Some((announcement, items)) => self.say(format!("{announcement} {}.", items.join("; ")), Kind::Sentence),
            None => {}
        }
    }

    fn say(&mut self, text: String, kind: Kind) {
        if text.chars().count() > LONGEST {
            return;
        }
        let before = self.said.last().map_or("", |before| before.text.as_str());
        let context = format!("{}{before}", self.headings);
        if kind == Kind::Fragment && text.len() <= HEADING {
            self.headings.push_str(&text);
            self.headings.push('\n');
        }
        self.said.push(Statement { text, kind, context });
    }

    fn finish(mut self) -> Vec<Statement> {
        self.end_list();
        self.said
    }
}

/// A text without what hides in it and without its own reference marks: in an answer, `[12]` is one of ours or it is nothing.
fn plain(text: &str) -> String {
    let text: String = text.chars().filter(|c| !is_hidden(*c)).collect();
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        let inner = after.split_once(']');
        rest = match inner {
            Some((mark, behind)) if !mark.is_empty() && mark.bytes().all(|b| b.is_ascii_digit()) => behind,
            // An interval, or a list of references; the space keeps it from being taken for ours.
            Some((mark, _)) if mark.starts_with(|c: char| c.is_ascii_digit()) => {
                plain.push_str("[ ");
                after
            }
            _ => {
                plain.push('[');
                after
            }
        };
    }
    plain.push_str(rest);
    plain
}

/// The sentences of a line, without a cut behind abbreviations.
fn sentences(line: &str) -> Vec<String> {
    let mut sentences: Vec<String> = Vec::new();
    for part in line.unicode_sentences().map(str::trim).filter(|part| !part.is_empty()) {
        match sentences.last_mut() {
            Some(last) if ends_with_abbreviation(last) => {
                last.push(' ');
                last.push_str(part);
            }
            _ => sentences.push(part.to_owned()),
        }
    }
    sentences
}

/// `z. B.`, `e.g.`, `Dr.`, `Fig.`: what is too short for the end of a sentence, and the usual ones that are not.
fn ends_with_abbreviation(text: &str) -> bool {
    const USUAL: [&str; 12] = ["abb", "approx", "bem", "bzw", "etc", "fig", "mrs", "prof", "usw", "vgl", "vol", "resp"];
    let Some(text) = text.strip_suffix('.') else { return false };
    let word = text.rsplit(|c: char| c.is_whitespace() || matches!(c, '.' | '(')).next().unwrap_or_default();
    let letters = word.chars().all(char::is_alphabetic);
    letters && (1..=2).contains(&word.chars().count()) || USUAL.contains(&word.to_lowercase().as_str())
}

fn ends_sentence(text: &str) -> bool {
    let text = text.trim_end_matches(['"', '\'', '”', '’', '“', '»', ')', ']']);
    text.ends_with(['.', '!', '?', '…', '。', '！', '？', '؟', '।'])
}

/// Whether it can stand by itself.
fn is_sentence(text: &str) -> bool {
    let first = text.trim_start_matches(['"', '\'', '“', '„', '«', '(', '[']).chars().next();
    let characters = text.chars().filter(|c| !c.is_whitespace()).count();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    ends_sentence(text)
        && first.is_some_and(|c| c.is_alphanumeric() && !c.is_lowercase())
        && text.unicode_words().count() >= 3
        && letters * 100 >= characters * LETTERS
}

/// A line such as `id: 1; product: anvil`.
fn has_named_cells(line: &str) -> bool {
    let cells = line.split("; ");
    cells.clone().count() > 1
        && cells.filter(|cell| cell.split_once(": ").is_some_and(|(name, _)| !name.is_empty())).count() > 1
}

/// An entry of a table of contents, with the dots that lead to its page.
fn is_leader(text: &str) -> bool {
    text.contains(". . .") || text.contains("....")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(String, Kind)> {
        statements(text).into_iter().map(|statement| (statement.text, statement.kind)).collect()
    }

    #[test]
    fn sentences_are_whole() {
        assert_eq!(
            texts("Ducks swim, e.g. on lakes. Z. B. Stockenten fliegen auch. They were seen by Dr. Duck."),
            [
                ("Ducks swim, e.g. on lakes.".to_owned(), Kind::Sentence),
                ("Z. B. Stockenten fliegen auch.".to_owned(), Kind::Sentence),
                ("They were seen by Dr. Duck.".to_owned(), Kind::Sentence),
            ]
        );
        assert_eq!(texts("swim on lakes, and fly.")[0].1, Kind::Fragment, "its beginning is missing");
        assert_eq!(texts("x = y + (2 · 3)². 0 = 1.")[0].1, Kind::Fragment, "a formula");
        assert!(texts("4.2 Ducks . . . . . . . . 7").is_empty());
    }

    #[test]
    fn rows_name_their_columns() {
        let text = "| Food | Calories\nLeaves | Ash, Elm | 50\nBerries | | 150\n\nid: 1; product: anvil";
        assert_eq!(
            texts(text),
            [
                ("Food | Calories".to_owned(), Kind::Row),
                ("Leaves; Food: Ash, Elm; Calories: 50".to_owned(), Kind::Row),
                ("Berries; Calories: 150".to_owned(), Kind::Row),
                ("id: 1; product: anvil".to_owned(), Kind::Row),
            ]
        );
    }

    #[test]
    fn a_list_is_told_with_what_announces_it() {
        let said = texts("Don’t forget:\nWear sunglasses\nUse sun cream\n\nDucks swim well.");
        let whole = ("Don’t forget: Wear sunglasses; Use sun cream.".to_owned(), Kind::Sentence);
        assert!(said.contains(&whole), "{said:?}");
        assert!(said.contains(&("Ducks swim well.".to_owned(), Kind::Sentence)));
        let table = texts("Here is what ducks eat:\n\n| Food | Calories\nLeaves | Ash | 50");
        assert!(
            table.iter().any(|(text, _)| text == "Here is what ducks eat: Leaves; Food: Ash; Calories: 50."),
            "{table:?}"
        );
    }

    #[test]
    fn what_stands_under_a_heading_is_told_with_and_without_it() {
        let said = statements("Theorem 3 (Duck)\n\nEach duck can swim.");
        assert!(said.iter().any(|said| said.text == "Theorem 3 (Duck): Each duck can swim."), "{said:?}");
        let alone = said.iter().find(|said| said.text == "Each duck can swim.").unwrap();
        assert!(alone.context.contains("Theorem 3 (Duck)"));
    }

    #[test]
    fn reference_marks_of_a_source_are_not_taken_for_ours() {
        assert_eq!(plain("It was so.[12] Then[3][4] [a] [b [1, 2] [0, 1]"), "It was so. Then [a] [b [ 1, 2] [ 0, 1]");
        assert_eq!(plain("[\u{200b}7] du\u{ad}ck"), " duck");
    }
}
