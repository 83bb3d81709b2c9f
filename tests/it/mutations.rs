//! Files that were damaged at random: reading one ends in text or a typed failure.

use std::fs;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use shared::embed::HashingEmbedder;
use tempfile::NamedTempFile;
use tests::{data, reading};

/// What happens to the bytes of a file.
#[derive(Debug, Clone)]
enum Damage {
    Flip(usize, u8),
    Truncate(usize),
    Remove(usize, usize),
    Double(usize, usize),
    Overwrite(usize, Vec<u8>),
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        let place = any::<usize>();
        prop_oneof![
            4 => (place, 0..8_u8).prop_map(|(at, bit)| Self::Flip(at, bit)),
            1 => place.prop_map(Self::Truncate),
            1 => (place, 1..2000_usize).prop_map(|(at, bytes)| Self::Remove(at, bytes)),
            1 => (place, 1..2000_usize).prop_map(|(at, bytes)| Self::Double(at, bytes)),
            1 => (place, proptest::collection::vec(any::<u8>(), 1..50)).prop_map(|(at, bytes)| Self::Overwrite(at, bytes)),
        ]
    }

    fn to(&self, bytes: &mut Vec<u8>) {
        let place = |at: usize| if bytes.is_empty() { 0 } else { at % bytes.len() };
        match self {
            Self::Flip(at, bit) => {
                let at = place(*at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            Self::Truncate(at) => bytes.truncate(place(*at)),
            Self::Remove(at, length) => {
                let at = place(*at);
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Self::Double(at, length) => {
                let at = place(*at);
                let piece = bytes[at..(at + length).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            Self::Overwrite(at, with) => {
                let at = place(*at);
                bytes.splice(at..(at + with.len()).min(bytes.len()), with.clone());
            }
        }
    }
}

#[test]
fn a_damaged_file_ends_in_text_or_a_typed_failure() {
    let Some(folder) = data::documents() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for name in [
        "latex-four-pages.pdf",
        "arabic.pdf",
        "tables.docx",
        "footnotes.docx",
        "slides.pptx",
        "sheet.xlsx",
        "table.csv",
        "wiki.md",
        "encyclopedia-duck.html",
    ] {
        let sample = fs::read(folder.join(name)).unwrap();
        let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
        let damages = proptest::collection::vec(Damage::any(), 1..6);
        runner
            .run(&damages, |damages| {
                let mut bytes = sample.clone();
                for damage in &damages {
                    damage.to(&mut bytes);
                }
                let file = NamedTempFile::new().unwrap();
                fs::write(file.path(), &bytes).unwrap();
                if let Ok(text) = runtime.block_on(reading::read(file.path(), name)) {
                    let again = runtime.block_on(reading::read(file.path(), name)).unwrap();
                    prop_assert_eq!(&again, &text);
                    let (plain, mut covered): (Vec<char>, _) = (text.plain().chars().collect(), 0);
                    for passage in ingest::split(&text, name, &HashingEmbedder::new(64)).unwrap() {
                        let (start, end) = (passage.span.0 as usize, passage.span.1 as usize);
                        prop_assert_eq!(plain[start..end].iter().collect::<String>(), passage.text);
                        let left_out = plain.get(covered..start).unwrap_or_default();
                        prop_assert!(left_out.iter().all(|c| c.is_whitespace()), "something is left out");
                        covered = end;
                    }
                    prop_assert!(plain[covered..].iter().all(|c| c.is_whitespace()), "the end is left out");
                }
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
