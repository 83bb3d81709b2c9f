//! Texts of any structure: passages are always in the text, cover it and fit the window.

use proptest::collection::vec;
use proptest::prelude::*;
use shared::embed::{Embedder, HashingEmbedder};

use super::{MARKERS, split};
use crate::text::{Kind, Text};

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        (0..9_u8).prop_map(Kind::Heading),
        Just(Kind::Paragraph),
        Just(Kind::Line),
        Just(Kind::Columns),
        Just(Kind::Row),
    ]
}

fn any_words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        6 => "[a-zA-Zäöü]{1,12}",
        2 => "[0-9|;:,.!?()\"-]{1,6}",
        1 => "[一-龥]{1,40}",
        1 => "(e\u{301}|👩‍👩‍👧|ﷺ|\u{200d}|\u{5d0}){1,9}",
        1 => "[a-z0-9]{100,400}",
    ];
    let end = prop_oneof![6 => Just(" "), 2 => Just(". "), 1 => Just("\n"), 1 => Just("")];
    vec((word, end), 1..150).prop_map(|words| words.into_iter().map(|(word, end)| word + end).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn passages_are_in_the_text_cover_it_and_fit_the_window(
        blocks in vec((any_kind(), any_words(), proptest::option::of(1..9_u32)), 1..25),
        title in "[a-z ]{0,900}",
    ) {
        let mut text = Text::default();
        for (kind, said, page) in &blocks {
            text.push(*kind, said, *page).unwrap();
        }
        text.entitle(&title);
        let plain: Vec<char> = text.plain().chars().collect();
        let embedder = HashingEmbedder::new(8);
        let passages = split(&text, "1.txt", &embedder).unwrap_or_default();
        prop_assert_eq!(&passages, &split(&text, "1.txt", &embedder).unwrap_or_default());
        let mut covered = 0;
        for passage in &passages {
            let (start, end) = (passage.span.0 as usize, passage.span.1 as usize);
            prop_assert_eq!(plain[start..end].iter().collect::<String>(), passage.text.as_str());
            prop_assert!(end > covered, "a passage is within the one before it");
            if start > covered {
                prop_assert!(plain[covered..start].iter().all(|c| c.is_whitespace()), "something is left out");
            }
            covered = end;
            prop_assert!(embedder.tokens(&passage.embedded) + MARKERS <= embedder.window(), "{:?}", passage);
        }
        prop_assert!(plain[covered..].iter().all(|c| c.is_whitespace()));
    }
}
