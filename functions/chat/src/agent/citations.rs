//! The markers in what a model says: `[3]`, also `[1][3]` and `[1, 3]`, which becomes `[1][3]`.
//!
//! A marker that names no source never leaves here. Text comes in pieces of any size; what may be the beginning of a marker is
//! held back until it is one or not, and nothing else is.

use crate::event::{Citation, Source};
use crate::hidden::is_hidden;
use crate::tools::Sources;

/// A marker is no longer, in bytes.
const LONGEST: usize = 48;
/// What the citations of one answer may take, in bytes: they are stored with it.
const MAX_CITED: usize = 64 * 1024;
/// What a citation takes beside its names, in bytes.
const CITATION: usize = 100;

/// Resolves the markers of one answer.
#[derive(Debug, Default)]
pub(crate) struct Markers {
    /// What may be the beginning of a marker, from its bracket on.
    held: String,
    /// The length of what was said, in UTF-16 code units.
    length: usize,
    /// What its citations take, in bytes.
    cited: usize,
    /// Whether what was said ends with what was taken for the beginning of a marker: if the marker behind it is removed, what
    /// follows could complete it.
    open: bool,
    /// Whether what was said ends with a marker, and if so, whether that is the first on its line.
    marked: Option<bool>,
    /// Whether the line has anything in it but space.
    line_has_text: bool,
}

/// What may be said, and the citations in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) text: String,
    pub(crate) citations: Vec<Citation>,
}

impl Markers {
    /// What of this, and of what was held back, may be said now.
    pub(crate) fn push(&mut self, text: &str, sources: &Sources) -> Resolved {
        let mut said = Resolved::default();
        for c in text.chars() {
            self.take(c, sources, &mut said);
        }
        said
    }

    /// What was held back: no more is coming.
    pub(crate) fn finish(&mut self) -> Resolved {
        let mut said = Resolved::default();
        self.release(&mut said);
        said
    }

    fn take(&mut self, c: char, sources: &Sources, said: &mut Resolved) {
        if c == '[' {
            let open = !self.held.is_empty();
            self.release(said);
            self.open |= open;
            self.held.push(c);
        } else if self.held.is_empty() {
            self.say(c, said);
        } else if c == ']' && self.held.ends_with(|last: char| last.is_ascii_digit()) {
            let held = std::mem::take(&mut self.held);
            self.resolve(&held[1..], sources, said);
        } else if may_follow(&self.held, c) {
            self.held.push(c);
            if self.held.len() > LONGEST {
                // It is no marker, and a space keeps it from looking like one.
                self.held.insert(1, ' ');
                self.release(said);
            }
        } else if !is_hidden(c) {
            // What cannot be seen is dropped: a reader would take `[`, a zero-width space and `7]` for a marker.
            self.release(said);
            self.say(c, said);
        }
    }

    /// Says what was held back: it is no marker.
    fn release(&mut self, said: &mut Resolved) {
        for c in std::mem::take(&mut self.held).chars() {
            self.say(c, said);
        }
    }

    fn resolve(&mut self, inner: &str, sources: &Sources, said: &mut Resolved) {
        let numbers: Vec<&str> = inner.split([',', ';']).map(str::trim).collect();
        if numbers.len() > 1 && numbers.iter().any(|number| number.starts_with('0')) {
            // No source has such a number; it is an interval, or a list.
            format!("[{inner}]").chars().for_each(|c| self.say(c, said));
            return;
        }
        let mut cited: Vec<&Source> = Vec::new();
        for source in numbers.iter().filter_map(|number| sources.get(number.parse().ok()?)) {
            let size = CITATION + source.chunk_id.len() + source.filename.len();
            if cited.iter().all(|other| other.n != source.n) && self.cited + size <= MAX_CITED {
                self.cited += size;
                cited.push(source);
            }
        }
        for source in &cited {
            self.cite(source, said);
        }
        if cited.is_empty() && self.open {
            self.say(' ', said);
        }
    }

    fn cite(&mut self, source: &Source, said: &mut Resolved) {
        let marker = format!("[{}]", source.n);
        let (start, end) = (self.length, self.length + marker.len());
        said.text.push_str(&marker);
        said.citations.push(Citation {
            n: source.n,
            chunk_id: source.chunk_id.clone(),
            document_id: source.document_id,
            filename: source.filename.clone(),
            start,
            end,
        });
        self.marked = Some(!self.line_has_text);
        (self.length, self.open, self.line_has_text) = (end, false, true);
    }

    fn say(&mut self, c: char, said: &mut Resolved) {
        // In Markdown these would make a link of the marker, to wherever the model was talked into.
        let links = self.marked.is_some_and(|first| matches!(c, '(' | '[') || first && c == ':');
        for c in links.then_some(' ').into_iter().chain([c]) {
            said.text.push(c);
            self.length += c.len_utf16();
        }
        self.line_has_text = c != '\n' && (self.line_has_text || !c.is_whitespace());
        (self.marked, self.open) = (None, false);
    }
}

/// Whether a marker that begins like this may go on like this.
fn may_follow(held: &str, c: char) -> bool {
    match held.chars().next_back() {
        Some('[' | ' ') => c.is_ascii_digit(),
        Some(',' | ';') => c.is_ascii_digit() || c == ' ',
        _ => c.is_ascii_digit() || matches!(c, ',' | ';'),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::retrieval::{Passage, Span};
    use shared::tenancy::{CollectionId, DocumentId};

    use super::*;

    /// Five of them.
    fn sources() -> Sources {
        let mut sources = Sources::default();
        for number in 1..=5 {
            let passage = Passage {
                chunk_id: format!("chunk-{number}"),
                document_id: DocumentId::new(),
                filename: "ducks.md".to_owned(),
                collection: CollectionId::default_collection(),
                page: None,
                heading: None,
                span: Span { start: 0, end: 0 },
                text: String::new(),
                score: 1.0,
            };
            sources.number(&passage);
        }
        sources
    }

    /// What is said of texts that come one after another.
    fn said<'a>(texts: impl IntoIterator<Item = &'a str>, sources: &Sources) -> Resolved {
        let (mut markers, mut all) = (Markers::default(), Resolved::default());
        let mut add = |more: Resolved| {
            all.text.push_str(&more.text);
            all.citations.extend(more.citations);
        };
        for text in texts {
            add(markers.push(text, sources));
        }
        add(markers.finish());
        all
    }

    #[test]
    fn markers_that_name_sources_are_cited_and_others_are_removed() {
        let sources = sources();
        for (text, expected, cited) in [
            ("Ducks swim [1].", "Ducks swim [1].", vec![1]),
            ("Ducks swim [1][3] and fly [2]", "Ducks swim [1][3] and fly [2]", vec![1, 3, 2]),
            ("[1, 2] [1,2;3]", "[1][2] [1][2][3]", vec![1, 2, 1, 2, 3]),
            ("[4, 4, 99]", "[4]", vec![4]),
            ("Ducks swim[7]. [99][6]", "Ducks swim. ", vec![]),
            ("[0] [00] [6] [007]", "   ", vec![]),
            ("[002]", "[2]", vec![2]),
            ("[99999999999999999999999999]", "", vec![]),
            // Not ours.
            (
                "t ∈ [0, 1], a[i], [x] [] [ 1 ] [1 ] [1.5] [-1] [1-3] 【1】",
                "t ∈ [0, 1], a[i], [x] [] [ 1 ] [1 ] [1.5] [-1] [1-3] 【1】",
                vec![],
            ),
            ("an end [", "an end [", vec![]),
            ("an end [1", "an end [1", vec![]),
            ("an end [1, ", "an end [1, ", vec![]),
            ("[[1]]", "[[1]]", vec![1]),
        ] {
            let resolved = said([text], &sources);
            assert_eq!(resolved.text, expected);
            assert_eq!(resolved.citations.iter().map(|citation| citation.n).collect::<Vec<_>>(), cited, "{text}");
        }
    }

    #[test]
    fn nothing_becomes_a_marker_because_another_was_removed() {
        let sources = sources();
        for (text, expected) in [
            ("[88[99]]", "[88 ]"),
            ("[1[99]]", "[1 ]"),
            ("[[99]7]", "[ 7]"),
            ("[8[9[99]]]", "[8[9 ]]"),
            ("[8[2]]", "[8[2]]"),
            ("[\u{200b}7]", ""),
            ("[7\u{2060}\u{e0041}]", ""),
            ("[1\u{200d}, 3]", "[1][3]"),
        ] {
            assert_eq!(said([text], &sources).text, expected, "{text}");
        }
        let long = format!("[{}]", "7".repeat(100));
        assert_eq!(said([long.as_str()], &sources).text, format!("[ {}]", "7".repeat(100)));
    }

    #[test]
    fn a_marker_is_never_a_link() {
        let sources = sources();
        for (text, expected) in [
            ("[1](https://evil.example)", "[1] (https://evil.example)"),
            ("[1][evil]", "[1] [evil]"),
            ("See.\n  [1]: https://evil.example", "See.\n  [1] : https://evil.example"),
            ("As in [1]: ducks", "As in [1]: ducks"),
            ("[1][99](https://evil.example)", "[1] (https://evil.example)"),
            ("[1] (see there)", "[1] (see there)"),
        ] {
            assert_eq!(said([text], &sources).text, expected, "{text}");
        }
    }

    #[test]
    fn only_what_may_be_a_marker_is_held_back() {
        let (sources, mut markers) = (sources(), Markers::default());
        for (text, expected) in [
            ("Ducks ", "Ducks "),
            ("swim [", "swim "),
            ("1", ""),
            ("2", ""),
            (" ducks", "[12 ducks"),
            (" [", " "),
            ("3", ""),
            ("]. They", "[3]. They"),
        ] {
            assert_eq!(markers.push(text, &sources).text, expected, "{text}");
        }
    }

    #[test]
    fn places_are_counted_in_utf_16() {
        let resolved = said(["Enten 🦆🏽 in cafe\u{301}s [99][2], 👩‍👩‍👧 [1, 5]!"], &sources());
        let units: Vec<u16> = resolved.text.encode_utf16().collect();
        assert_eq!(resolved.citations.len(), 3);
        for citation in &resolved.citations {
            let marker = String::from_utf16(&units[citation.start..citation.end]).unwrap();
            assert_eq!(marker, format!("[{}]", citation.n));
        }
    }

    #[test]
    fn citations_take_no_more_than_can_be_stored() {
        let resolved = said(["[1]".repeat(10_000).as_str()], &sources());
        assert!(resolved.citations.len() > 400 && resolved.citations.len() * CITATION <= MAX_CITED);
        assert_eq!(resolved.text, "[1]".repeat(resolved.citations.len()));
    }

    proptest! {
        #[test]
        fn however_a_text_is_split_the_same_is_said(
            texts in prop::collection::vec(
                prop_oneof![
                    r"\[[0-9]{1,2}\]",
                    r"[\[\]0-9,; :(\n]{1,6}",
                    r"\[[1-9]([,;] ?[1-9]){1,3}\]",
                    Just("🦆".to_owned()),
                    Just("e\u{301}".to_owned()),
                    Just("\u{200b}".to_owned()),
                    "[a-z ]{1,8}",
                ],
                0..20,
            ),
            splits in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let (sources, text) = (sources(), texts.concat());
            let whole = said([text.as_str()], &sources);
            let mut places: Vec<usize> = splits.iter().map(|place| text.floor_char_boundary(place.index(text.len() + 1))).collect();
            places.extend([0, text.len()]);
            places.sort_unstable();
            let parts: Vec<&str> = places.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(&said(parts, &sources), &whole);
            let characters: Vec<String> = text.chars().map(String::from).collect();
            prop_assert_eq!(&said(characters.iter().map(String::as_str), &sources), &whole);

            // Every marker that is left is cited where it stands.
            let units: Vec<u16> = whole.text.encode_utf16().collect();
            for citation in &whole.citations {
                prop_assert_eq!(String::from_utf16(&units[citation.start..citation.end]).unwrap(), format!("[{}]", citation.n));
            }
            let mut left = 0;
            for (place, _) in whole.text.match_indices('[') {
                let inner = whole.text[place + 1..].split(']').next().unwrap();
                let closed = whole.text[place + 1 + inner.len()..].starts_with(']');
                left += usize::from(closed && !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_digit()));
            }
            prop_assert_eq!(left, whole.citations.len());
        }
    }
}
