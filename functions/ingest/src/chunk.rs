//! Passages from text: cut where its structure is, never within a sentence that fits, each small enough for the
//! embedder's window together with the title and headings in front of it.

use shared::chunks::Chunk;
use shared::documents::{ErrorCode, Failure};
use shared::embed::Embedder;
use text_splitter::{ChunkCapacity, ChunkConfig, ChunkSizer, TextSplitter};

use crate::text::{Kind, Text};

/// The most passages of a document: about two thousand dense pages.
const MAX_CHUNKS: usize = 20_000;
/// Tokens that every model adds around a text.
const MARKERS: usize = 2;

/// A passage and what is embedded for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passage {
    /// What it says.
    pub(crate) text: String,
    /// The page it begins on.
    pub(crate) page: Option<u32>,
    /// The headings above it, outermost first.
    pub(crate) heading: Option<String>,
    /// Where it stands in the text of the document, in characters.
    pub(crate) span: (u32, u32),
    /// The text with the title and the headings in front.
    pub(crate) embedded: String,
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

/// A run of blocks under the same headings on the same page.
#[derive(Debug, Default)]
struct Section<'a> {
    headings: Vec<(u8, &'a str)>,
    page: Option<u32>,
    text: &'a str,
    /// Where it begins in the text of the document, in characters.
    start: usize,
    /// Where its text goes on behind the headings, in bytes; none while it has only headings.
    body: Option<usize>,
}

/// Cuts a text into passages.
pub(crate) fn split(text: &Text, filename: &str, embedder: &dyn Embedder) -> Result<Vec<Passage>, Failure> {
    let title = text.title().map(str::to_owned).or_else(|| telling_name(filename));
    let mut passages = Vec::new();
    for section in sections(text) {
        passages.extend(split_section(&section, title.as_deref(), embedder));
        if passages.len() > MAX_CHUNKS {
            return Err(too_many());
        }
    }
    Ok(passages)
}

fn sections(text: &Text) -> Vec<Section<'_>> {
    let plain = text.plain();
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut headings: Vec<(u8, &str)> = Vec::new();
    let (mut start, mut counted, mut characters) = (0, 0, 0);
    let mut section = Section::default();
    for block in text.blocks() {
        let starts_anew = match block.kind {
            Kind::Heading(_) => section.body.is_some(),
            _ => section.body.is_some() && section.page != block.page,
        };
        if starts_anew {
            sections.push(std::mem::take(&mut section));
        }
        if let Kind::Heading(level) = block.kind {
            headings.retain(|(above, _)| *above < level);
            headings.push((level, block.text));
        }
        if section.text.is_empty() {
            characters += plain[counted..block.start].chars().count();
            (start, counted) = (block.start, block.start);
            section.start = characters;
            section.page = block.page;
        }
        if !matches!(block.kind, Kind::Heading(_)) {
            section.body.get_or_insert(block.start - start);
        }
        section.headings.clone_from(&headings);
        section.text = &plain[start..block.start + block.text.len()];
    }
    if !section.text.is_empty() {
        sections.push(section);
    }
    sections
}

fn too_many() -> Failure {
    Failure {
        code: ErrorCode::TooLarge,
        detail: format!("The document has more than {MAX_CHUNKS} passages; divide it."),
    }
}

/// The first passage begins with the headings of the section; what is embedded has them in front of every passage.
fn split_section(section: &Section<'_>, title: Option<&str>, embedder: &dyn Embedder) -> Vec<Passage> {
    let path: Vec<&str> = section.headings.iter().map(|(_, heading)| *heading).collect();
    let heading = (!path.is_empty()).then(|| path.join(" › "));
    let context = context(title, &path, embedder);
    let passage = |text: &str, start: usize, embedded: String| {
        let start = section.start + start;
        let span = (narrow(start), narrow(start + text.chars().count()));
        Passage { text: text.to_owned(), page: section.page, heading: heading.clone(), span, embedded }
    };
    let Some(body) = section.body else {
        return vec![passage(section.text, 0, context)];
    };
    let reserved = embedder.tokens(&context) + MARKERS;
    let capacity = embedder.window().saturating_sub(reserved).max(embedder.window() / 2);
    let (headings, body) = section.text.split_at(body);
    // Passages of like length: a runt at the end would be found for its title and headings rather than its text.
    let tokens = embedder.tokens(body);
    let even = tokens.div_ceil(tokens.div_ceil(capacity).max(1)).clamp(1, capacity);
    let config = ChunkConfig::from(ChunkCapacity::from(even..=capacity)).with_sizer(Tokens(embedder));
    let splitter = TextSplitter::new(config);
    let body_start = headings.chars().count();
    splitter
        .chunk_char_indices(body)
        .enumerate()
        .map(|(index, chunk)| {
            let embedded =
                if context.is_empty() { chunk.chunk.to_owned() } else { format!("{context}\n{}", chunk.chunk) };
            if index == 0 {
                let end = headings.len() + chunk.byte_offset + chunk.chunk.len();
                passage(&section.text[..end], 0, embedded)
            } else {
                passage(chunk.chunk, body_start + chunk.char_offset, embedded)
            }
        })
        .collect()
}

/// The title and the headings, as much of them as leaves most of the window to the passage.
fn context(title: Option<&str>, path: &[&str], embedder: &dyn Embedder) -> String {
    let mut parts: Vec<&str> = title.into_iter().collect();
    parts.extend(path.iter().filter(|heading| Some(**heading) != title));
    let mut context = parts.join(" › ");
    // The innermost headings say most, so the outer ones go first.
    while embedder.tokens(&context) > embedder.window() / 4 && !parts.is_empty() {
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

/// Measures text in tokens of the embedder.
struct Tokens<'a>(&'a dyn Embedder);

impl ChunkSizer for Tokens<'_> {
    fn size(&self, text: &str) -> usize {
        self.0.tokens(text)
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

    #[test]
    fn only_a_telling_name_is_context() {
        assert_eq!(telling_name("annual_report-2025.pdf").as_deref(), Some("annual report 2025"));
        assert_eq!(telling_name("0042.md"), None);
        assert_eq!(telling_name("A1-B2.txt"), None);
    }
}
