use std::ops::Range;

use crate::text::{Kind, Text};

/// The most bytes of a text that are cut at once: the effort grows faster than the text.
const STRETCH: usize = 32 * 1024;
/// The most where no sentence ends: there the effort grows fastest.
const ENDLESS: usize = 4 * 1024;
/// A heading of more bytes is a paragraph that somebody made to look like one.
const LONGEST_HEADING: usize = 600;
/// Headings without anything below them are passages of about so many bytes.
const HEADINGS: usize = 1200;

/// A run of blocks under the same headings on the same page.
#[derive(Debug, Default)]
pub(super) struct Section<'a> {
    /// The headings above it, outermost first.
    pub(super) headings: Vec<&'a str>,
    pub(super) page: Option<u32>,
    /// Its blocks, as they stand in the text of the document.
    pub(super) text: &'a str,
    /// Where it begins in the text of the document, in characters.
    pub(super) start: usize,
    /// The blocks behind its own headings.
    pub(super) body: Vec<Piece>,
}

/// A block of a section.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) kind: Kind,
    /// Where it stands in the text of the section, in bytes.
    pub(super) place: Range<usize>,
    /// Where the names of its columns stand, if it is a row below such.
    pub(super) columns: Option<Range<usize>>,
}

/// The sections of a text, one after another.
pub(super) fn sections(text: &Text) -> impl Iterator<Item = Section<'_>> {
    let plain = text.plain();
    let mut blocks = text.blocks().peekable();
    let mut headings: Vec<(u8, &str)> = Vec::new();
    let (mut counted, mut characters) = (0, 0);
    std::iter::from_fn(move || {
        let first = *blocks.peek()?;
        characters += plain[counted..first.start].chars().count();
        counted = first.start;
        let mut section = Section { page: first.page, start: characters, ..Section::default() };
        while let Some(block) = blocks.peek() {
            let level = match block.kind {
                Kind::Heading(level) if block.text.len() <= LONGEST_HEADING => Some(level),
                _ => None,
            };
            let starts_anew = match level {
                Some(_) => !section.body.is_empty() || section.text.len() > HEADINGS,
                None => !section.body.is_empty() && section.page != block.page,
            };
            if starts_anew {
                break;
            }
            let end = block.start + block.text.len();
            section.text = &plain[first.start..end];
            if let Some(level) = level {
                headings.retain(|(above, _)| *above < level);
                headings.push((level, block.text));
            } else {
                section.add(block.kind, block.start - first.start..end - first.start);
            }
            blocks.next();
        }
        section.headings = headings.iter().map(|(_, heading)| *heading).collect();
        Some(section)
    })
}

impl<'a> Section<'a> {
    fn add(&mut self, kind: Kind, place: Range<usize>) {
        let columns = match (kind, self.body.last()) {
            (Kind::Row, Some(Piece { kind: Kind::Columns, place, .. })) => Some(place.clone()),
            (Kind::Row, Some(Piece { kind: Kind::Row, columns, .. })) => columns.clone(),
            _ => None,
        };
        self.body.push(Piece { kind, place, columns });
    }

    /// Where what is cut begins: behind the headings.
    pub(super) fn body_start(&self) -> Option<usize> {
        self.body.first().map(|piece| piece.place.start)
    }

    /// The body in parts that are not too long to be cut: whole, or else divided between blocks, or in a block that is too
    /// long by itself.
    pub(super) fn stretches(&self) -> Vec<Range<usize>> {
        let Some(mut start) = self.body_start() else { return Vec::new() };
        let length = self.text.len() - start;
        let even = length.div_ceil(length.div_ceil(STRETCH).max(1));
        let mut stretches = Vec::new();
        let mut end = start;
        for piece in &self.body {
            let endless = is_endless(&self.text[piece.place.clone()]);
            if piece.place.end - start > if endless { ENDLESS } else { even } && end > start {
                stretches.push(start..end);
                start = piece.place.start;
            }
            end = piece.place.end;
            let most = if endless { ENDLESS } else { STRETCH };
            while end - start > most {
                let cut = start + cut(&self.text[start..end], most);
                stretches.push(start..cut);
                start = cut;
            }
        }
        stretches.push(start..end);
        stretches
    }

    /// The block that this place is in or in front of.
    pub(super) fn piece_at(&self, place: usize) -> Option<&Piece> {
        self.body.get(self.body.partition_point(|piece| piece.place.end <= place))
    }

    /// The names of the columns of all its tables.
    pub(super) fn all_columns(&self) -> impl Iterator<Item = &'a str> {
        let columns = self.body.iter().filter(|piece| piece.kind == Kind::Columns);
        columns.map(|piece| &self.text[piece.place.clone()])
    }
}

/// Whether sentences, if there are any in a text, do not end for very long.
fn is_endless(text: &str) -> bool {
    let (mut end, mut before) = (0, ' ');
    let is_end = |before: char, c: char| match before {
        '.' | '!' | '?' | '؟' | '।' => c.is_whitespace(),
        '。' | '！' | '？' | '\n' => true,
        _ => false,
    };
    text.len() > ENDLESS
        && text.char_indices().any(|(at, c)| {
            if is_end(before, c) {
                end = at;
            }
            before = c;
            at - end > ENDLESS
        })
}

/// Where to cut a block that is too long: behind a sentence if one ends late enough, else behind a word.
fn cut(text: &str, most: usize) -> usize {
    let limit = text.floor_char_boundary(most);
    let (early, late) = text[..limit].split_at(text.floor_char_boundary(most / 2));
    let behind = [". ", "\n", "; ", " "].iter().find_map(|end| late.rfind(end).map(|at| early.len() + at + end.len()));
    behind.unwrap_or(limit)
}
