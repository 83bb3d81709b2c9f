use std::collections::HashMap;

use shared::terms::{Term, exact_terms};

use crate::chunk::Passage;

/// The most passages of a document that one term finds. A term that stands in more is no longer uncommon, and all its postings
/// go to one partition of an index.
const PASSAGES: u32 = 32;

/// Gives passages the exact terms that they are found by, at most `most` each.
pub(crate) fn add(passages: &mut [Passage], most: usize) {
    let mut found: HashMap<Term, u32> = HashMap::new();
    for passage in passages {
        passage.terms = exact_terms(&passage.text, most);
        passage.terms.retain(|term| {
            let passages = found.entry(term.clone()).or_default();
            *passages += 1;
            *passages <= PASSAGES
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(text: &str) -> Passage {
        let (text, embedded) = (text.to_owned(), text.to_owned());
        Passage { text, page: None, heading: None, span: (0, 0), embedded, terms: Vec::new() }
    }

    #[test]
    fn a_term_finds_a_document_in_its_first_passages_only() {
        let mut passages: Vec<_> = (0..100).map(|n| passage(&format!("Model ERR-4821, number X-{n}7."))).collect();
        add(&mut passages, 9);
        let having = passages.iter().filter(|passage| passage.terms.iter().any(|term| term.as_str() == "err4821"));
        assert_eq!(having.count(), PASSAGES as usize);
        assert!(passages.iter().all(|passage| !passage.terms.is_empty() && passage.terms.len() <= 9));
        add(&mut passages, 0);
        assert!(passages.iter().all(|passage| passage.terms.is_empty()));
    }
}
