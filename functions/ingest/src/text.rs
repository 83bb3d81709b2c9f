use serde::{Deserialize, Serialize};
use shared::documents::{ErrorCode, Failure};

use crate::extract::tidy::{Tidy, tidy};

/// The most characters of a text: some ten thousand dense pages.
pub(crate) const MAX_CHARACTERS: usize = 20_000_000;
/// The most paragraphs, headings, list entries and table rows of a text.
pub(crate) const MAX_BLOCKS: usize = 500_000;

/// Headings below this one are as good as this one.
const LOWEST_HEADING: u8 = 6;
/// The most bytes of a title.
const LONGEST_TITLE: usize = 500;

/// What a file says, in reading order: its plain text, and what the parts of that are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Text {
    title: Option<String>,
    plain: String,
    parts: Vec<Part>,
    /// Where words were broken, in bytes of the plain text.
    joints: Vec<usize>,
    #[serde(skip)]
    characters: usize,
}

/// A block without its text, which lies in [`Text::plain`] behind that of the block before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    kind: Kind,
    page: Option<u32>,
    /// The length of its text in bytes.
    bytes: u32,
}

/// A paragraph, heading, list entry or table row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// What it is.
    pub kind: Kind,
    /// What it says, without line breaks at the edges.
    pub text: &'a str,
    /// The page or slide it begins on, from 1, where there are such.
    pub page: Option<u32>,
    /// Where it begins in [`Text::plain`], in bytes.
    pub start: usize,
}

/// What a [`Block`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A heading, 1 the outermost.
    Heading(u8),
    /// A paragraph of prose.
    Paragraph,
    /// A line that belongs to the one before it, such as a list entry.
    Line,
    /// The first row of a table, which names its columns.
    Columns,
    /// A row of a table.
    Row,
}

impl Kind {
    /// What stands between a block of this kind and the one before it.
    fn separator(self, before: Option<Kind>) -> &'static str {
        match (before, self) {
            (None, _) => "",
            (Some(Self::Paragraph | Self::Line | Self::Columns | Self::Row), Self::Line | Self::Row) => "\n",
            _ => "\n\n",
        }
    }
}

impl Text {
    /// Adds a block, in the spelling that all texts have; a block without anything to read is left out.
    pub(crate) fn push(&mut self, kind: Kind, text: &str, page: Option<u32>) -> Result<(), Failure> {
        if text.len() > MAX_CHARACTERS * 8 {
            return Err(too_much_text());
        }
        self.push_tidy(kind, &tidy(text), page)
    }

    fn push_tidy(&mut self, kind: Kind, tidy: &Tidy, page: Option<u32>) -> Result<(), Failure> {
        let text = &tidy.text;
        if text.is_empty() {
            return Ok(());
        }
        let kind = match kind {
            Kind::Heading(level) => Kind::Heading(level.clamp(1, LOWEST_HEADING)),
            kind => kind,
        };
        let separator = kind.separator(self.parts.last().map(|part| part.kind));
        self.characters += separator.len() + text.chars().count();
        if self.characters > MAX_CHARACTERS || self.parts.len() == MAX_BLOCKS {
            return Err(too_much_text());
        }
        self.plain.push_str(separator);
        let start = self.plain.len();
        self.joints.extend(tidy.joints.iter().map(|at| start + at));
        self.plain.push_str(text);
        self.parts.push(Part { kind, page, bytes: u32::try_from(text.len()).map_err(|_| too_much_text())? });
        Ok(())
    }

    /// Adds another text, its headings so many levels below. The pages of that are not pages of this.
    pub(crate) fn append(&mut self, other: &Self, levels: u8) -> Result<(), Failure> {
        other.blocks().try_for_each(|block| {
            let kind = match block.kind {
                Kind::Heading(level) => Kind::Heading(level.saturating_add(levels)),
                kind => kind,
            };
            let joints = other.joints.iter().filter_map(|at| at.checked_sub(block.start));
            let joints = joints.take_while(|at| *at < block.text.len()).collect();
            self.push_tidy(kind, &Tidy { text: block.text.to_owned(), joints }, None)
        })
    }

    /// Gives it a title, unless that says nothing.
    pub(crate) fn entitle(&mut self, title: &str) {
        let title = tidy(&title[..title.floor_char_boundary(LONGEST_TITLE)]).text;
        if !title.is_empty() {
            self.title = Some(title);
        }
    }

    /// The title the file gives itself.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// All of it: the blocks, joined by an empty line, or by a line end before a [`Kind::Line`] or a [`Kind::Row`]
    /// that is not the first under its heading. The spans of
    /// passages count the characters of this.
    pub fn plain(&self) -> &str {
        &self.plain
    }

    /// Where in it words are joined that were broken at the end of a line, in characters and in order.
    pub fn joints(&self) -> impl Iterator<Item = usize> {
        let (mut counted, mut characters) = (0, 0);
        self.joints.iter().map(move |at| {
            characters += self.plain.get(counted..*at).unwrap_or_default().chars().count();
            counted = *at;
            characters
        })
    }

    /// Its parts, in order.
    pub fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        let (mut before, mut end) = (None, 0);
        self.parts.iter().map(move |part| {
            let start = end + part.kind.separator(before).len();
            end = start + part.bytes as usize;
            before = Some(part.kind);
            Block { kind: part.kind, text: self.plain.get(start..end).unwrap_or_default(), page: part.page, start }
        })
    }

    /// Whether there is anything in it that a search could find.
    pub(crate) fn is_readable(&self) -> bool {
        self.plain.chars().any(char::is_alphanumeric)
    }

    /// Whether the parts are those of the plain text, as they may not be in what came from elsewhere.
    pub(crate) fn is_whole(&self) -> bool {
        let ends =
            self.blocks().try_fold(0, |_, block| (!block.text.is_empty()).then(|| block.start + block.text.len()));
        let joints_are_in_it = self.joints.is_sorted() && self.joints.iter().all(|at| self.plain.is_char_boundary(*at));
        ends == Some(self.plain.len()) && joints_are_in_it
    }
}

/// The failure of a text that is longer than a document may be.
pub(crate) fn too_much_text() -> Failure {
    Failure {
        code: ErrorCode::TooLarge,
        detail: format!(
            "The document has more text than can be taken: {MAX_CHARACTERS} characters in {MAX_BLOCKS} paragraphs and \
             rows are the most; divide it."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duck() -> Text {
        let mut text = Text::default();
        for (kind, said) in
            [(Kind::Heading(1), "Enten"), (Kind::Paragraph, " Die Ente\u{a0}fliegt. "), (Kind::Line, "Weg.")]
        {
            text.push(kind, said, Some(1)).unwrap();
        }
        text.push(Kind::Paragraph, " \u{ad} ", None).unwrap();
        text
    }

    #[test]
    fn blocks_stand_in_the_plain_text_where_they_say() {
        let text = duck();
        assert_eq!(text.plain(), "Enten\n\nDie Ente fliegt.\nWeg.");
        assert_eq!(text.blocks().count(), 3);
        for block in text.blocks() {
            assert!(text.plain()[block.start..].starts_with(block.text));
        }
        assert!(text.is_whole());
    }

    #[test]
    fn parts_that_are_not_those_of_the_text_are_noticed() {
        for bytes in [0, 1, 4, 6, 7, u32::MAX] {
            let mut text = duck();
            text.parts[0].bytes = bytes;
            assert!(!text.is_whole(), "{bytes}");
        }
        for joints in [vec![2, 1], vec![99]] {
            assert!(!Text { joints, ..duck() }.is_whole());
        }
    }

    #[test]
    fn it_is_known_where_words_were_broken() {
        let mut text = duck();
        text.push(Kind::Paragraph, "Schwä- ne ge- hen.", None).unwrap();
        let mut whole = Text::default();
        whole.push(Kind::Heading(1), "Vögel", None).unwrap();
        whole.append(&text, 1).unwrap();
        for text in [text, whole] {
            let rests: Vec<String> = text.joints().map(|at| text.plain().chars().skip(at).collect()).collect();
            assert_eq!(rests, ["ne gehen.", "hen."]);
            assert!(text.is_whole());
        }
    }

    #[test]
    fn a_text_does_not_grow_without_end() {
        let (mut text, page) = (Text::default(), "0123456789".repeat(50_000));
        let taken = (0..100).take_while(|_| text.push(Kind::Paragraph, &page, None).is_ok()).count();
        assert_eq!(taken, 39);
        let mut text = Text::default();
        let refused = (0..=MAX_BLOCKS).find_map(|_| text.push(Kind::Line, "x", None).err());
        assert_eq!(refused.map(|failure| failure.code), Some(ErrorCode::TooLarge));
    }
}
