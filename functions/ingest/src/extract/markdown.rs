use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::{Block, Kind, Text};

/// Whether the name says that a text is Markdown; its content cannot.
pub(super) fn is_markdown(filename: &str) -> bool {
    let ending = filename.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    matches!(ending.as_str(), "md" | "markdown" | "mdown" | "mkd")
}

/// The text of a Markdown document (CommonMark with tables and footnotes), without its markup.
pub(super) fn extract(markdown: &str) -> Text {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut reader = Reader::default();
    for event in Parser::new_ext(markdown, options) {
        reader.read(event);
    }
    reader.flush(Kind::Paragraph);
    let title = reader.blocks.iter().find(|block| block.kind == Kind::Heading(1)).map(|block| block.text.clone());
    Text { title, blocks: reader.blocks }
}

#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    /// The block that is being read.
    text: String,
    /// The cells of the table row that is being read.
    cells: Vec<String>,
    /// How many lists the block stands in.
    lists: usize,
}

impl Reader {
    fn read(&mut self, event: Event<'_>) {
        match event {
            Event::Text(text) | Event::Code(text) => self.text.push_str(&text),
            Event::SoftBreak => self.text.push(' '),
            Event::HardBreak => self.text.push('\n'),
            Event::Start(Tag::List(_)) => {
                self.flush(self.prose());
                self.lists += 1;
            }
            Event::End(TagEnd::List(_)) => {
                self.flush(Kind::Line);
                self.lists = self.lists.saturating_sub(1);
            }
            Event::End(TagEnd::Heading(level)) => self.flush(Kind::Heading(number(level))),
            Event::End(TagEnd::TableCell) => {
                let cell = std::mem::take(&mut self.text);
                self.cells.push(cell.trim().to_owned());
            }
            Event::End(TagEnd::TableHead | TagEnd::TableRow) => {
                let cells = std::mem::take(&mut self.cells);
                if cells.iter().any(|cell| !cell.is_empty()) {
                    self.text = cells.join(" | ");
                    self.flush(Kind::Line);
                }
            }
            Event::End(
                TagEnd::Paragraph
                | TagEnd::Item
                | TagEnd::CodeBlock
                | TagEnd::BlockQuote(_)
                | TagEnd::FootnoteDefinition
                | TagEnd::HtmlBlock,
            ) => self.flush(self.prose()),
            _ => {}
        }
    }

    fn prose(&self) -> Kind {
        if self.lists > 0 { Kind::Line } else { Kind::Paragraph }
    }

    fn flush(&mut self, kind: Kind) {
        let text = std::mem::take(&mut self.text);
        if !text.trim().is_empty() {
            self.blocks.push(Block { kind, text: text.trim().to_owned(), page: None });
        }
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
        );
        let blocks: Vec<_> = text.blocks.iter().map(|block| (block.kind, block.text.as_str())).collect();
        assert_eq!(
            blocks,
            [
                (Kind::Heading(1), "Ducks"),
                (Kind::Paragraph, "A duck swims. It quacks."),
                (Kind::Line, "one"),
                (Kind::Line, "two"),
                (Kind::Line, "a | b"),
                (Kind::Line, "1 | 2"),
                (Kind::Paragraph, "See."),
                (Kind::Paragraph, "A note."),
            ]
        );
        assert_eq!(text.title.as_deref(), Some("Ducks"));
    }
}
