//! The candidates by exact terms.

use std::collections::{HashMap, HashSet};

use futures::future::try_join_all;

use super::Retriever;
use super::candidate::Candidate;
use super::places::Place;
use super::query::{Mode, SearchQuery};
use super::words::content_words;
use crate::chunks::ChunkKey;
use crate::error::Error;
use crate::tenancy::{DocumentId, Principal};
use crate::terms::{Kind, Occurrence, Term, occurrences};

/// The most terms of a query that are looked up.
const MOST_TERMS: usize = 16;
/// The most lookups, each of a term in a place. In more places than this, one term is looked up.
const MOST_LOOKUPS: usize = 64;
/// A term that stands in so many passages of a place is no longer uncommon: more are not read, and none are used.
const COMMON: usize = 64;
/// The most passages that are read because of their terms alone.
const MOST_PASSAGES: usize = 32;

/// Passages in which terms of the query stand.
#[derive(Debug, Default)]
pub(super) struct ByTerms(HashMap<ChunkKey, Found>);

/// Which terms those are.
#[derive(Debug, Default)]
struct Found {
    terms: Vec<String>,
    tells: f32,
}

impl Retriever {
    /// Looks up the uncommon words of a query.
    pub(super) async fn by_terms(
        &self,
        principal: &Principal,
        places: &[Place],
        query: &SearchQuery,
    ) -> Result<ByTerms, Error> {
        let most = MOST_TERMS.min(MOST_LOOKUPS / places.len().max(1)).max(1);
        if query.mode == Mode::Semantic || !self.config.exact_terms {
            return Ok(ByTerms::default());
        }
        let asked = occurrences(&query.query, most);
        let words = content_words(&query.query).len();
        let lookups = asked.iter().map(|asked| self.look_up(principal, places, &asked.term));
        let mut found = ByTerms::default();
        for (asked, in_places) in asked.iter().zip(try_join_all(lookups).await?) {
            found.add(asked, words, in_places);
        }
        Ok(found)
    }

    /// The passages of each place in which a term stands.
    async fn look_up(&self, principal: &Principal, places: &[Place], term: &Term) -> Result<Vec<Vec<ChunkKey>>, Error> {
        let lookups = places.iter().map(|Place { collection, document }| {
            self.chunks.with_term(&principal.tenant, collection, *document, term, COMMON)
        });
        try_join_all(lookups).await
    }
}

impl ByTerms {
    fn add(&mut self, asked: &Occurrence, words: usize, in_places: Vec<Vec<ChunkKey>>) {
        let number = in_places.iter().map(Vec::len).sum();
        let tells = tells(asked, words, number);
        let uncommon = in_places.into_iter().filter(|passages| passages.len() < COMMON);
        for key in uncommon.flatten() {
            let found = self.0.entry(key).or_default();
            found.terms.push(asked.term.to_string());
            found.tells = (found.tells + tells).min(1.0);
        }
    }

    /// Leaves only passages of some documents.
    pub(super) fn retain(&mut self, is_asked: impl Fn(DocumentId) -> bool) {
        self.0.retain(|key, _| is_asked(key.document));
    }

    /// Tells candidates which terms stand in them.
    pub(super) fn mark(&self, candidates: &mut [Candidate]) {
        for candidate in candidates {
            if let Some(found) = self.0.get(&candidate.key()) {
                candidate.terms.clone_from(&found.terms);
                candidate.exact = found.tells;
            }
        }
    }

    /// The passages that are not among the candidates, those whose terms tell most.
    pub(super) fn others(&self, candidates: &[Candidate]) -> Vec<ChunkKey> {
        let known: HashSet<ChunkKey> = candidates.iter().map(Candidate::key).collect();
        let others = self.0.iter().filter(|(key, _)| !known.contains(key));
        let mut others: Vec<_> = others.map(|(key, found)| (found.tells, *key)).collect();
        // Of those that tell as much, the newest.
        others.sort_by(|(tells, key), (others_tells, others_key)| {
            others_tells.total_cmp(tells).then(others_key.cmp(key))
        });
        others.truncate(MOST_PASSAGES);
        others.into_iter().map(|(_, key)| key).collect()
    }
}

/// How much a term tells, from 0 to 1, about a query of so many words, if it stands in so many passages. A code does by how rare
/// it is, and a part of it by how much of it that is. Of a word it is known better by meaning and by its other words what the query
/// is about, the more there are of those.
fn tells(asked: &Occurrence, words: usize, passages: usize) -> f32 {
    let rarity = (1.0 - (passages.max(1) as f32).ln() / (COMMON as f32).ln()).max(0.0);
    let share = (asked.words.number as f32 / words.max(1) as f32).min(1.0);
    match asked.kind {
        Kind::Code => rarity * asked.words.number as f32 / asked.words.of as f32,
        Kind::Joined | Kind::Word => (rarity * share).powf(1.0 / share),
        Kind::Pair => rarity * share,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Occurrence {
        occurrences(query, 1).remove(0)
    }

    #[test]
    fn a_code_tells_more_the_rarer_it_is_and_a_word_less_the_more_others_there_are() {
        let (code, word) = (asked("ERR-4821"), asked("Zyzzogeton"));
        assert!((tells(&code, 9, 1) - 1.0).abs() < 1e-6);
        assert!(tells(&code, 9, 2) > tells(&code, 9, 20) && tells(&code, 9, COMMON) <= 0.0);
        assert!((tells(&word, 1, 1) - 1.0).abs() < 1e-6);
        assert!((tells(&word, 2, 1) - 0.25).abs() < 1e-6 && tells(&word, 9, 1) < 0.001);
    }

    #[test]
    fn the_passages_whose_terms_tell_most_are_read() {
        let key = |index| ChunkKey { document: DocumentId::new(), version: 1, index };
        let (rare, both, often) = (key(0), key(1), (0..40).map(key).collect::<Vec<_>>());
        let mut found = ByTerms::default();
        found.add(&asked("ERR-4821"), 2, vec![vec![rare, both]]);
        found.add(&asked("B7"), 2, vec![[often.clone(), vec![both]].concat()]);
        found.add(&asked("C8"), 2, vec![(0..90).map(key).take(COMMON).collect()]);
        let others = found.others(&[]);
        assert_eq!((others.len(), &others[..2]), (MOST_PASSAGES, &[both, rare][..]));
        assert_eq!(found.0[&both].terms, ["err4821", "b7"]);
    }
}
