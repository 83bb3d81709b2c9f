//! Passages from text: cut where its structure is, never within a sentence that fits, each small enough for the
//! embedder's window together with the title and headings in front of it.

#[cfg(test)]
mod any;
mod section;

use std::ops::Range;

use shared::chunks::Chunk;
use shared::documents::{ErrorCode, Failure};
use shared::embed::Embedder;
use shared::terms::Term;
use text_splitter::{ChunkCapacity, ChunkConfig, ChunkSizer, TextSplitter};
use unicode_segmentation::UnicodeSegmentation;

use self::section::{Piece, Section, sections};
use crate::extract::no_text;
use crate::text::{Kind, Text};

/// The most passages of a document: about two thousand dense pages.
const MAX_CHUNKS: usize = 20_000;
/// Tokens that every model adds around a text.
const MARKERS: usize = 2;
/// The most bytes of a passage for each token of the window. Only text that is no language has more: some tokenizers take
/// any amount of letters without a space for one unknown word.
const BYTES_PER_TOKEN: usize = 24;

/// A passage and what is embedded for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// What it says.
    pub text: String,
    /// The page it begins on.
    pub page: Option<u32>,
    /// The headings above it, outermost first.
    pub heading: Option<String>,
    /// Where it stands in the text of the document, in characters.
    pub span: (u32, u32),
    /// The text with the title and the headings in front, and the names of the columns if it is from a table.
    pub embedded: String,
    /// The exact terms that it is found by.
    pub terms: Vec<Term>,
}

impl Passage {
    /// The passage as it is stored.
    pub(crate) fn into_chunk(self, version: u32, index: u32) -> Chunk {
        Chunk {
            version,
            chunk_index: index,
            text: self.text,
            page: self.page,
            heading: self.heading,
            span_start: self.span.0,
            span_end: self.span.1,
        }
    }
}

/// Cuts a text into passages, which cover all of it in order. They overlap only where a paragraph had to be cut.
pub fn split(text: &Text, filename: &str, embedder: &dyn Embedder) -> Result<Vec<Passage>, Failure> {
    let title = text.title().map(str::to_owned).or_else(|| telling_name(filename));
    let mut passages = Vec::new();
    for section in sections(text) {
        split_section(&section, title.as_deref(), &Tokens(embedder), &mut passages)?;
    }
    if passages.is_empty() { Err(no_text()) } else { Ok(passages) }
}

/// The first passage begins with the headings of the section; what is embedded has them in front of every passage.
fn split_section(
    section: &Section<'_>,
    title: Option<&str>,
    tokens: &Tokens<'_>,
    passages: &mut Vec<Passage>,
) -> Result<(), Failure> {
    let heading = (!section.headings.is_empty()).then(|| section.headings.join(" › "));
    let context = context(title, &section.headings, tokens);
    let (mut counted, mut characters) = (0, section.start);
    let mut add = |text: &str, start: usize, embedded: String| {
        if passages.len() == MAX_CHUNKS {
            return Err(too_many());
        }
        characters += section.text[counted..start].chars().count();
        counted = start;
        let span = (narrow(characters), narrow(characters + text.chars().count()));
        passages.push(Passage {
            text: text.to_owned(),
            page: section.page,
            heading: heading.clone(),
            span,
            embedded,
            terms: Vec::new(),
        });
        Ok(())
    };
    let Some(body) = section.body_start() else {
        return add(section.text, 0, context);
    };
    // Passages that begin within a table have the names of its columns in front.
    let columns = section.all_columns().map(|columns| tokens.size(tokens.beginning(columns))).max().unwrap_or_default();
    let mut last = body;
    for stretch in section.stretches() {
        for (start, end) in cuts(section, stretch, tokens.size(&context), columns, tokens) {
            let piece = section.piece_at(start);
            let columns = piece.and_then(|piece| Some(tokens.beginning(&section.text[piece.columns.clone()?])));
            let embedded = |start: usize| {
                let parts = [context.as_str(), columns.unwrap_or_default(), &section.text[start..end]];
                parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
            };
            let taken_up = piece
                .and_then(|piece| overlap(section, piece, start, tokens))
                .filter(|from| *from > last)
                .map(|from| (from, embedded(from)))
                .filter(|(_, embedded)| tokens.size(embedded) + MARKERS <= tokens.window());
            let (from, embedded) = taken_up.unwrap_or_else(|| (start, embedded(start)));
            last = start;
            let from = if start == body { 0 } else { from };
            add(&section.text[from..end], from, embedded)?;
        }
    }
    Ok(())
}

/// Where the passages of a stretch begin and end in their section, in bytes. Some tokens of the window are taken by what is
/// in front of every passage and, unless one holds all of the stretch, by the names of columns.
fn cuts(
    section: &Section<'_>,
    stretch: Range<usize>,
    context: usize,
    columns: usize,
    tokens: &Tokens<'_>,
) -> Vec<(usize, usize)> {
    let body = &section.text[stretch.clone()];
    let window = tokens.window();
    let mut capacity = window.saturating_sub(context + MARKERS).max(window / 2);
    let size = tokens.size(body);
    if size > capacity {
        capacity = capacity.saturating_sub(columns).max(1);
    }
    // Passages of like length: a runt at the end would be found for its title and headings rather than its text.
    let even = size.div_ceil(size.div_ceil(capacity).max(1)).clamp(1, capacity);
    let config = ChunkConfig::from(ChunkCapacity::from(even..=capacity)).with_sizer(Tokens(tokens.0));
    let splitter = TextSplitter::new(config);
    splitter.chunk_indices(body).map(|(at, chunk)| (stretch.start + at, stretch.start + at + chunk.len())).collect()
}

/// Where a passage begins that takes up the sentence before it, because it would else begin within a paragraph.
fn overlap(section: &Section<'_>, piece: &Piece, start: usize, tokens: &Tokens<'_>) -> Option<usize> {
    if piece.place.start >= start || piece.kind == Kind::Row {
        return None;
    }
    let far = tokens.overlap() * BYTES_PER_TOKEN;
    let reach = section.text.ceil_char_boundary(start.saturating_sub(far).max(piece.place.start));
    let before = section.text[reach..start].trim_end();
    let (at, sentence) = before.split_sentence_bound_indices().last()?;
    // What reaches to the limit is the end of something longer.
    let whole = at > 0 || reach == piece.place.start;
    (whole && tokens.size(sentence) <= tokens.overlap()).then_some(reach + at)
}

/// The title and the headings, as much of them as leaves most of the window to the passage.
fn context(title: Option<&str>, path: &[&str], tokens: &Tokens<'_>) -> String {
    let mut parts: Vec<&str> = title.into_iter().collect();
    parts.extend(path.iter().filter(|heading| Some(**heading) != title));
    let mut context = parts.join(" › ");
    // The innermost headings say most, so the outer ones go first.
    while tokens.size(&context) > tokens.window() / 4 && !parts.is_empty() {
        parts.remove(0);
        context = parts.join(" › ");
    }
    context
}

/// The name without its ending, unless it is a mere number or code.
fn telling_name(filename: &str) -> Option<String> {
    let stem = filename.rsplit_once('.').map_or(filename, |(stem, _)| stem);
    let telling = stem.split(|c: char| !c.is_alphabetic()).any(|word| word.chars().count() >= 3);
    telling.then(|| stem.replace(['_', '-'], " "))
}

fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn too_many() -> Failure {
    Failure {
        code: ErrorCode::TooLarge,
        detail: format!("The document has more than {MAX_CHUNKS} passages; divide it."),
    }
}

/// Measures text in tokens of the embedder.
struct Tokens<'a>(&'a dyn Embedder);

impl Tokens<'_> {
    fn window(&self) -> usize {
        self.0.window()
    }

    /// The most tokens that two passages share.
    fn overlap(&self) -> usize {
        self.window() / 8
    }

    /// As many names of columns as leave most of the window to the passage.
    fn beginning<'t>(&self, columns: &'t str) -> &'t str {
        let mut beginning = &columns[..columns.floor_char_boundary(self.window() / 4 * BYTES_PER_TOKEN)];
        while self.size(beginning) > self.window() / 4 {
            let half = beginning.floor_char_boundary(beginning.len() / 2);
            let cut = beginning.rfind(" | ").filter(|cut| *cut > half);
            beginning = &beginning[..cut.unwrap_or(half)];
        }
        beginning
    }
}

impl ChunkSizer for Tokens<'_> {
    fn size(&self, text: &str) -> usize {
        self.0.tokens(text).max(text.len() / BYTES_PER_TOKEN)
    }
}

#[cfg(test)]
mod tests {
    use shared::embed::HashingEmbedder;

    use super::*;

    fn long_text() -> Text {
        let sentence = "Die schöne Ente schwimmt über den größten See. ";
        let mut text = Text::default();
        let blocks = [
            (Kind::Heading(1), "Enten", 1),
            (Kind::Heading(2), "Schwimmen", 1),
            (Kind::Paragraph, &sentence.repeat(60), 1),
            (Kind::Paragraph, &sentence.repeat(9), 2),
            (Kind::Heading(2), "Fliegen 🦆", 2),
            (Kind::Paragraph, "Sie fliegt.", 2),
            (Kind::Line, "Und landet.", 2),
        ];
        for (kind, said, page) in blocks {
            text.push(kind, said, Some(page)).unwrap();
        }
        text.entitle("Enten");
        text
    }

    #[test]
    fn the_text_of_a_passage_stands_at_its_span() {
        let text = long_text();
        let whole: Vec<char> = text.plain().chars().collect();
        let passages = split(&text, "x.pdf", &HashingEmbedder::new(64)).unwrap();
        assert!(passages.len() > 3, "{}", passages.len());
        for passage in &passages {
            let (start, end) = (passage.span.0 as usize, passage.span.1 as usize);
            assert_eq!(whole[start..end].iter().collect::<String>(), passage.text);
        }
    }

    #[test]
    fn passages_cover_the_text_fit_the_window_and_end_with_sentences() {
        let embedder = HashingEmbedder::new(64);
        let text = long_text();
        let passages = split(&text, "x.pdf", &embedder).unwrap();
        let squeeze = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        let joined: String = passages.iter().map(|passage| squeeze(&passage.text)).collect();
        assert_eq!(joined, squeeze(text.plain()));
        for passage in &passages {
            assert!(embedder.tokens(&passage.embedded) + MARKERS <= embedder.window(), "{passage:?}");
            assert!(passage.text.ends_with('.'), "{passage:?}");
        }
    }

    #[test]
    fn headings_and_pages_are_those_a_passage_stands_under() {
        let passages = split(&long_text(), "x.pdf", &HashingEmbedder::new(64)).unwrap();
        assert_eq!(passages[0].heading.as_deref(), Some("Enten › Schwimmen"));
        assert_eq!(passages[0].page, Some(1));
        let last = passages.last().unwrap();
        assert_eq!(last.heading.as_deref(), Some("Enten › Fliegen 🦆"));
        assert_eq!(last.page, Some(2));
        assert_eq!(last.text, "Fliegen 🦆\n\nSie fliegt.\nUnd landet.");
        assert_eq!(last.embedded, "Enten › Fliegen 🦆\nSie fliegt.\nUnd landet.");
        let second_page = passages.iter().find(|passage| passage.page == Some(2)).unwrap();
        assert_eq!(second_page.heading.as_deref(), Some("Enten › Schwimmen"));
    }

    fn texts(passages: &[Passage]) -> Vec<&str> {
        passages.iter().map(|passage| passage.text.as_str()).collect()
    }

    #[test]
    fn a_paragraph_that_is_cut_is_taken_up_with_its_last_sentence() {
        let sentences: Vec<String> =
            (0..40).map(|number| format!("This is sentence {number} of the long text.")).collect();
        let mut text = Text::default();
        text.push(Kind::Paragraph, &sentences.join(" "), None).unwrap();
        let passages = split(&text, "1.txt", &HashingEmbedder::new(64)).unwrap();
        assert!(passages.len() > 1);
        for pair in passages.windows(2) {
            let last = pair[0].text.rsplit("This").next().unwrap();
            assert!(pair[1].text.starts_with(&format!("This{last} This")), "{pair:?}");
            assert!(pair[1].span.0 < pair[0].span.1);
        }
    }

    #[test]
    fn paragraphs_that_are_whole_do_not_overlap() {
        let mut text = Text::default();
        for number in 0..60 {
            text.push(Kind::Paragraph, &format!("Paragraph {number} says little."), None).unwrap();
        }
        let passages = split(&text, "1.txt", &HashingEmbedder::new(64)).unwrap();
        assert!(passages.len() > 1);
        assert_eq!(texts(&passages).join("\n\n"), text.plain());
    }

    #[test]
    fn a_passage_from_the_middle_of_a_table_tells_its_columns_and_no_row_is_cut() {
        let mut text = Text::default();
        text.push(Kind::Columns, "number | name", None).unwrap();
        for number in 0..100 {
            text.push(Kind::Row, &format!("{number} | duck of the number {number}"), None).unwrap();
        }
        let passages = split(&text, "1.txt", &HashingEmbedder::new(64)).unwrap();
        assert!(passages.len() > 2);
        assert_eq!(texts(&passages).join("\n"), text.plain());
        for passage in &passages {
            assert!(passage.embedded.starts_with("number | name\n"), "{passage:?}");
            assert!(passage.text.lines().skip(1).all(|row| row.contains(" | ")), "{passage:?}");
        }
        assert!(!passages[1].text.contains("name"));
    }

    #[test]
    fn text_without_any_end_is_cut_all_the_same() {
        for unit in ["x", "鴨", "word ", "e\u{301}", "1;"] {
            let mut text = Text::default();
            text.push(Kind::Paragraph, &unit.repeat(40_000), None).unwrap();
            let embedder = HashingEmbedder::new(64);
            let passages = match split(&text, "1.txt", &embedder) {
                Ok(passages) => passages,
                Err(failure) => panic!("{unit:?}: {failure:?}"),
            };
            assert!(passages.iter().all(|passage| passage.text.len() <= 256 * BYTES_PER_TOKEN), "{unit:?}");
        }
    }

    #[test]
    fn there_is_an_end_to_passages() {
        let mut text = Text::default();
        for number in 0..=MAX_CHUNKS {
            text.push(Kind::Heading(1), &number.to_string(), None).unwrap();
            text.push(Kind::Paragraph, "x", None).unwrap();
        }
        let failure = split(&text, "1.txt", &HashingEmbedder::new(64)).unwrap_err();
        assert_eq!(failure.code, ErrorCode::TooLarge);
    }

    #[test]
    fn headings_without_text_and_endless_ones_are_passages_of_bearable_length() {
        let mut text = Text::default();
        for number in 0..1000_u16 {
            let level = u8::try_from(number % 9).unwrap();
            text.push(Kind::Heading(level), &format!("Heading {number}"), None).unwrap();
        }
        text.push(Kind::Heading(1), &"duck ".repeat(10_000), None).unwrap();
        let passages = split(&text, "1.txt", &HashingEmbedder::new(64)).unwrap();
        assert!(passages.iter().all(|passage| passage.text.len() < 8000));
    }

    #[test]
    fn only_a_telling_name_is_context() {
        assert_eq!(telling_name("annual_report-2025.pdf").as_deref(), Some("annual report 2025"));
        assert_eq!(telling_name("0042.md"), None);
        assert_eq!(telling_name("A1-B2.txt"), None);
    }
}
