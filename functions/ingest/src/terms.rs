use std::borrow::Cow;
use std::collections::HashMap;

use shared::terms::{Term, exact_terms};

use crate::chunk::Passage;

/// The most passages of a document that one term finds. A term that stands in more is no longer uncommon, and all its postings
/// go to one partition of an index.
const PASSAGES: u32 = 32;

/// Gives passages the exact terms that they are found by, at most `most` each. A word that is joined in one of these places of the
/// text, in order, is found by its pieces too: whoever copies from a page has those, and it may have been two words.
pub(crate) fn add(passages: &mut [Passage], joints: &[usize], most: usize) {
    let mut found: HashMap<Term, u32> = HashMap::new();
    for passage in passages {
        passage.terms = exact_terms(&with_pieces(passage, joints), most);
        passage.terms.retain(|term| {
            let passages = found.entry(term.clone()).or_default();
            *passages += 1;
            *passages <= PASSAGES
        });
    }
}

/// The text of a passage and, if words are joined in it, the same again with these in pieces.
fn with_pieces<'a>(passage: &'a Passage, joints: &[usize]) -> Cow<'a, str> {
    let (start, end) = (passage.span.0 as usize, passage.span.1 as usize);
    let joints = &joints[joints.partition_point(|at| *at <= start)..];
    let joints = &joints[..joints.partition_point(|at| *at < end)];
    if joints.is_empty() {
        return Cow::Borrowed(&passage.text);
    }
    let (mut text, mut counted, mut rest) = (passage.text.clone(), start, passage.text.as_str());
    for at in joints {
        let bytes = rest.char_indices().nth(at - counted).map_or(rest.len(), |(bytes, _)| bytes);
        let (piece, behind) = rest.split_at(bytes);
        (counted, rest) = (*at, behind);
        text.push(' ');
        text.push_str(piece);
    }
    text.push(' ');
    text.push_str(rest);
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(text: &str) -> Passage {
        let span = (0, u32::try_from(text.chars().count()).unwrap());
        let (text, embedded) = (text.to_owned(), text.to_owned());
        Passage { text, page: None, heading: None, span, embedded, terms: Vec::new() }
    }

    #[test]
    fn a_word_that_was_broken_finds_its_passage_whole_and_by_its_pieces() {
        // The second begins where the first has "neuroglia".
        let mut passages = ["Größe des gastrointestinal neuroglia", "neuroglia zyzzogeton."].map(passage);
        passages[1].span = (27, 48);
        add(&mut passages, &[18, 42], 9);
        let terms = |passage: &Passage| passage.terms.iter().map(ToString::to_string).collect::<Vec<_>>();
        let [first, second] = passages.each_ref().map(terms);
        for (term, places) in [
            ("gastrointestinal", [true, false]),
            ("gastroin", [true, false]),
            ("testinal", [true, false]),
            ("neurogli", [true, true]),
            ("zyzzogeton", [false, true]),
            ("geton", [false, true]),
        ] {
            assert_eq!(
                [first.iter(), second.iter()].map(|mut of| of.any(|one| one == term)),
                places,
                "{term}: {first:?} {second:?}"
            );
        }
    }

    #[test]
    fn a_word_that_was_broken_very_often_takes_no_more_than_its_text_again() {
        let passage = passage(&"ab".repeat(1_000));
        let joints: Vec<usize> = (1..1_000).map(|number| 2 * number).collect();
        assert_eq!(with_pieces(&passage, &joints).len(), 2_000 + 3 * 1_000);
    }

    #[test]
    fn a_term_finds_a_document_in_its_first_passages_only() {
        let mut passages: Vec<_> = (0..100).map(|n| passage(&format!("Model ERR-4821, number X-{n}7."))).collect();
        add(&mut passages, &[], 9);
        let having = passages.iter().filter(|passage| passage.terms.iter().any(|term| term.as_str() == "err4821"));
        assert_eq!(having.count(), PASSAGES as usize);
        assert!(passages.iter().all(|passage| !passage.terms.is_empty() && passage.terms.len() <= 9));
        add(&mut passages, &[], 0);
        assert!(passages.iter().all(|passage| passage.terms.is_empty()));
    }
}
