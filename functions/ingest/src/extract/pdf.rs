use std::ops::ControlFlow;

use shared::documents::Failure;
use unpdf::model::{Block as PdfBlock, Page, Paragraph, TableCell};
use unpdf::{Error, PageStreamOptions, ParseEvent, ParseOptions, PdfParser};

use super::{corrupt, encrypted};
use crate::text::{Kind, Text};

/// A block as the parser has it.
struct Block {
    kind: Kind,
    text: String,
    page: Option<u32>,
}

/// Reads page by page; only the blocks on either side of a page break are kept for a while.
pub(super) fn extract(bytes: &[u8]) -> Result<Text, Failure> {
    let fail = |error: &Error| match error {
        Error::Encrypted | Error::InvalidPassword => encrypted(),
        _ => corrupt(),
    };
    let parser = PdfParser::from_bytes_with_options(bytes, options()).map_err(|error| fail(&error))?;
    if parser.page_count() == 0 {
        return Err(corrupt());
    }
    let (mut text, mut title, mut failure) = (Text::default(), None, None);
    let mut last: Option<Block> = None;
    let pages = PageStreamOptions::from(&options());
    let read = parser.for_each_page(pages, |event| {
        let added = match event {
            ParseEvent::DocumentStart { metadata, .. } => {
                title = metadata.title;
                Ok(())
            }
            ParseEvent::PageParsed(page) => add(&mut text, &mut last, blocks(&page)),
            _ => Ok(()),
        };
        failure = added.err();
        if failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    read.map_err(|error| fail(&error))?;
    add(&mut text, &mut last, Vec::new())?;
    if let Some(block) = last {
        text.push(block.kind, &block.text, block.page)?;
    }
    text.entitle(&title.unwrap_or_default());
    Ok(text)
}

fn options() -> ParseOptions {
    ParseOptions::default().sequential()
}

/// Adds the blocks of a page but the last, which the next page may complete.
fn add(text: &mut Text, last: &mut Option<Block>, mut page: Vec<Block>) -> Result<(), Failure> {
    if let (Some(last), Some(first)) = (last.as_mut(), page.first_mut()) {
        complete_sentence(last, first);
    }
    let next = page.pop();
    let before = if next.is_some() { last.take() } else { None };
    for block in before.into_iter().chain(page) {
        text.push(block.kind, &block.text, block.page)?;
    }
    *last = next.or(last.take());
    Ok(())
}

fn blocks(page: &Page) -> Vec<Block> {
    let number = Some(page.number);
    let mut blocks = Vec::new();
    for element in &page.elements {
        match element {
            PdfBlock::Paragraph(paragraph) => {
                blocks.push(Block { kind: kind(paragraph), text: paragraph.plain_text(), page: number });
            }
            PdfBlock::Table(table) => blocks.extend(table.rows.iter().enumerate().map(|(index, row)| {
                let cells: Vec<String> = row.cells.iter().map(TableCell::plain_text).collect();
                let kind = if index == 0 { Kind::Columns } else { Kind::Row };
                Block { kind, text: cells.join(" | "), page: number }
            })),
            PdfBlock::Code { content } | PdfBlock::Raw { content } => {
                blocks.push(Block { kind: Kind::Paragraph, text: content.clone(), page: number });
            }
            _ => {}
        }
    }
    blocks
}

fn kind(paragraph: &Paragraph) -> Kind {
    match paragraph.style.heading_level {
        Some(level) => Kind::Heading(level.max(1)),
        None if paragraph.is_list_item() => Kind::Line,
        None => Kind::Paragraph,
    }
}

/// Moves the rest of a sentence that a page break cuts to the page it began on, so that no passage ends within it.
fn complete_sentence(last: &mut Block, first: &mut Block) {
    if last.kind != Kind::Paragraph || first.kind != Kind::Paragraph {
        return;
    }
    let cut = !last.text.trim_end().ends_with(['.', '!', '?', ':', ';', '"', '”', '“', ')']);
    let goes_on = first.text.starts_with(char::is_lowercase);
    if cut && goes_on {
        let end = sentence_end(&first.text);
        let rest = first.text.split_off(end);
        if last.text.ends_with('-') {
            last.text.pop();
        } else {
            last.text.push(' ');
        }
        last.text.push_str(first.text.trim_end());
        first.text = rest;
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
        let (mut text, mut last) = (Text::default(), None);
        for page in [block("Done. The duck", 1), block("swims home. Then it sleeps.", 2), block("Next.", 3)] {
            add(&mut text, &mut last, vec![page]).unwrap();
            add(&mut text, &mut last, Vec::new()).unwrap();
        }
        let blocks: Vec<_> = text.blocks().map(|block| (block.text, block.page)).collect();
        assert_eq!(blocks, [("Done. The duck swims home.", Some(1)), ("Then it sleeps.", Some(2))]);
        assert_eq!(last.unwrap().text, "Next.");
    }
}
