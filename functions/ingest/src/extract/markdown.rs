use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use shared::documents::Failure;

use crate::text::{Kind, Text};

/// Whether the name says that a text is Markdown; its content cannot.
pub(super) fn is_markdown(filename: &str) -> bool {
    let ending = filename.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    matches!(ending.as_str(), "md" | "markdown" | "mdown" | "mkd")
}

/// The text of a Markdown document (CommonMark with tables and footnotes), without its markup.
pub(super) fn extract(markdown: &str) -> Result<Text, Failure> {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut reader = Reader::default();
    for event in Parser::new_ext(markdown, options) {
        reader.read(event)?;
    }
    reader.flush(Kind::Paragraph)?;
    let title = reader.read.blocks().find(|block| block.kind == Kind::Heading(1)).map(|block| block.text.to_owned());
    let mut text = reader.read;
    text.entitle(&title.unwrap_or_default());
    Ok(text)
}

#[derive(Default)]
struct Reader {
    /// What was read.
    read: Text,
    /// The block that is being read.
    text: String,
    /// The cells of the table row that is being read.
    cells: Vec<String>,
    /// How many lists the block stands in.
    lists: usize,
}

impl Reader {
    fn read(&mut self, event: Event<'_>) -> Result<(), Failure> {
        match event {
            Event::Text(text) | Event::Code(text) => self.text.push_str(&text),
            Event::SoftBreak => self.text.push(' '),
            Event::HardBreak => self.text.push('\n'),
            Event::Start(Tag::List(_)) => {
                self.flush(self.prose())?;
                self.lists += 1;
            }
            Event::End(TagEnd::List(_)) => {
                self.flush(Kind::Line)?;
                self.lists = self.lists.saturating_sub(1);
            }
            Event::End(TagEnd::Heading(level)) => return self.flush(Kind::Heading(number(level))),
            Event::End(TagEnd::TableCell) => {
                let cell = std::mem::take(&mut self.text);
                self.cells.push(cell.trim().to_owned());
            }
            Event::End(TagEnd::TableHead) => return self.row(Kind::Columns),
            Event::End(TagEnd::TableRow) => return self.row(Kind::Row),
            Event::End(
                TagEnd::Paragraph
                | TagEnd::Item
                | TagEnd::CodeBlock
                | TagEnd::BlockQuote(_)
                | TagEnd::FootnoteDefinition
                | TagEnd::HtmlBlock,
            ) => return self.flush(self.prose()),
            _ => {}
        }
        Ok(())
    }

    fn row(&mut self, kind: Kind) -> Result<(), Failure> {
        let cells = std::mem::take(&mut self.cells);
        if cells.iter().any(|cell| !cell.is_empty()) {
            self.text = cells.join(" | ");
        }
        self.flush(kind)
    }

    fn prose(&self) -> Kind {
        if self.lists > 0 { Kind::Line } else { Kind::Paragraph }
    }

    fn flush(&mut self, kind: Kind) -> Result<(), Failure> {
        let text = std::mem::take(&mut self.text);
        self.read.push(kind, &text, None)
    }
}

fn number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_goes_and_structure_stays() {
        let text = extract(
            "# Ducks\n\nA *duck* [swims](http://x).\nIt `quacks`.\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nSee[^1].\n\n[^1]: A note.\n",
        )
        .unwrap();
        let blocks: Vec<_> = text.blocks().map(|block| (block.kind, block.text)).collect();
        assert_eq!(
            blocks,
            [
                (Kind::Heading(1), "Ducks"),
                (Kind::Paragraph, "A duck swims. It quacks."),
                (Kind::Line, "one"),
                (Kind::Line, "two"),
                (Kind::Columns, "a | b"),
                (Kind::Row, "1 | 2"),
                (Kind::Paragraph, "See."),
                (Kind::Paragraph, "A note."),
            ]
        );
        assert_eq!(text.title(), Some("Ducks"));
    }
}
