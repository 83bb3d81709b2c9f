use shared::documents::Failure;
use unpdf::Error;
use unpdf::model::{Block as PdfBlock, Paragraph};
use unpdf::parser::ParseOptions;

use super::{corrupt, encrypted};
use crate::text::{Kind, Text};

/// A block as the parser has it.
struct Block {
    kind: Kind,
    text: String,
    page: Option<u32>,
}

pub(super) fn extract(bytes: &[u8]) -> Result<Text, Failure> {
    let options = ParseOptions { parallel: false, ..ParseOptions::default() };
    let document = unpdf::parse_bytes_with_options(bytes, options).map_err(|error| match error {
        Error::Encrypted | Error::InvalidPassword => encrypted(),
        _ => corrupt(),
    })?;
    if document.pages.is_empty() {
        return Err(corrupt());
    }
    let mut blocks = Vec::new();
    for page in &document.pages {
        for element in &page.elements {
            let number = Some(page.number);
            match element {
                PdfBlock::Paragraph(paragraph) => {
                    blocks.push(Block { kind: kind(paragraph), text: paragraph.plain_text(), page: number });
                }
                PdfBlock::Table(table) => blocks.extend(table.rows.iter().map(|row| {
                    let cells: Vec<String> = row.cells.iter().map(unpdf::model::TableCell::plain_text).collect();
                    Block { kind: Kind::Line, text: cells.join(" | "), page: number }
                })),
                PdfBlock::Code { content } | PdfBlock::Raw { content } => {
                    blocks.push(Block { kind: Kind::Paragraph, text: content.clone(), page: number });
                }
                _ => {}
            }
        }
    }
    complete_sentences(&mut blocks);
    let mut text = Text::default();
    for block in &blocks {
        text.push(block.kind, &block.text, block.page)?;
    }
    text.entitle(document.metadata.title.as_deref().unwrap_or_default());
    Ok(text)
}

fn kind(paragraph: &Paragraph) -> Kind {
    match paragraph.style.heading_level {
        Some(level) => Kind::Heading(level.max(1)),
        None if paragraph.is_list_item() => Kind::Line,
        None => Kind::Paragraph,
    }
}

/// Moves the rest of a sentence that a page break cuts to the page it began on, so that no passage ends within it.
fn complete_sentences(blocks: &mut [Block]) {
    for index in 1..blocks.len() {
        let (before, after) = blocks.split_at_mut(index);
        let (Some(last), Some(first)) = (before.last_mut(), after.first_mut()) else { continue };
        let prose = last.kind == Kind::Paragraph && first.kind == Kind::Paragraph;
        if last.page == first.page || !prose {
            continue;
        }
        let cut = !last.text.trim_end().ends_with(['.', '!', '?', ':', ';', '"', '”', '“', ')']);
        let goes_on = first.text.starts_with(char::is_lowercase);
        if cut && goes_on {
            let end = sentence_end(&first.text);
            let rest = first.text.split_off(end);
            let hyphenated = last.text.ends_with('-');
            if hyphenated {
                last.text.pop();
            } else {
                last.text.push(' ');
            }
            last.text.push_str(first.text.trim_end());
            first.text = rest;
        }
    }
}

/// The byte behind the first sentence.
fn sentence_end(text: &str) -> usize {
    text.char_indices()
        .find(|(at, c)| {
            let behind = at + c.len_utf8();
            matches!(c, '.' | '!' | '?') && text[behind..].starts_with(char::is_whitespace)
        })
        .map_or(text.len(), |(at, c)| at + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str, page: u32) -> Block {
        Block { kind: Kind::Paragraph, text: text.to_owned(), page: Some(page) }
    }

    #[test]
    fn a_sentence_cut_by_a_page_break_stays_on_its_first_page() {
        let mut blocks = [block("Done. The duck", 1), block("swims home. Then it sleeps.", 2), block("Next.", 3)];
        complete_sentences(&mut blocks);
        assert_eq!(blocks[0].text, "Done. The duck swims home.");
        assert_eq!(blocks[1].text, " Then it sleeps.");
        assert_eq!(blocks[2].text, "Next.");
    }
}
