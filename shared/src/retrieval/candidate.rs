use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::chunks::{Chunk, ChunkKey, Hit};
use crate::language::Language;
use crate::tenancy::DocumentId;

/// A passage on its way to an answer, with what each stage found out about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The document it belongs to.
    pub document_id: DocumentId,
    /// The passage.
    pub chunk: Chunk,
    /// The name of its document.
    pub filename: String,
    /// The language of its document, where that is known.
    pub language: Option<Language>,
    /// Its cosine similarity to the query, from -1 to 1; none where it is not known.
    pub similarity: Option<f32>,
    /// Whether it is among the nearest, and not found by its words alone.
    pub is_near: bool,
    /// The uncommon words of the query that stand in it, as they are compared.
    pub terms: Vec<String>,
    /// How much those tell, from 0 to 1.
    pub exact: f32,
    /// Its BM25 score; 0 until it is ranked, and for what has none of the query's words.
    pub lexical: f32,
    /// The score of both together, from 0 to 1.
    pub fused: f32,
    /// How relevant the reranker finds it, from 0 to 1; none if it was not asked.
    pub relevance: Option<f32>,
    /// The score it is shown with, from 0 to 1.
    pub score: f32,
}

impl Candidate {
    /// A passage that was found, before anything is known of it.
    pub fn new(document_id: DocumentId, chunk: Chunk) -> Self {
        Self {
            document_id,
            chunk,
            filename: String::new(),
            language: None,
            similarity: None,
            is_near: false,
            terms: Vec::new(),
            exact: 0.0,
            lexical: 0.0,
            fused: 0.0,
            relevance: None,
            score: 0.0,
        }
    }

    /// What it says with its headings.
    pub(super) fn searchable(&self) -> String {
        match &self.chunk.heading {
            Some(heading) => format!("{heading}\n{}", self.chunk.text),
            None => self.chunk.text.clone(),
        }
    }

    /// Which passage it is.
    pub(super) fn key(&self) -> ChunkKey {
        ChunkKey { document: self.document_id, version: self.chunk.version, index: self.chunk.chunk_index }
    }
}

impl From<Hit> for Candidate {
    fn from(hit: Hit) -> Self {
        Self { similarity: Some(hit.similarity), is_near: true, ..Self::new(hit.document_id, hit.chunk) }
    }
}

/// Unites what several stages found: each passage once, with what any of them knows of it, in the order of the first that
/// found it.
pub(super) fn join(found: impl IntoIterator<Item = Candidate>) -> Vec<Candidate> {
    let mut places = HashMap::new();
    let mut joined: Vec<Candidate> = Vec::new();
    for candidate in found {
        match places.entry(candidate.key()) {
            Entry::Vacant(place) => {
                place.insert(joined.len());
                joined.push(candidate);
            }
            Entry::Occupied(place) => {
                let known = &mut joined[*place.get()];
                known.similarity = known.similarity.or(candidate.similarity);
                known.is_near |= candidate.is_near;
                known.terms.extend(candidate.terms);
                known.terms.sort_unstable();
                known.terms.dedup();
                known.exact = known.exact.max(candidate.exact);
            }
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(chunk_index: u32) -> Chunk {
        Chunk {
            version: 1,
            chunk_index,
            text: "Ducks swim.".to_owned(),
            page: None,
            heading: None,
            span_start: 0,
            span_end: 11,
        }
    }

    #[test]
    fn what_two_stages_found_is_one_candidate_with_what_both_know() {
        let document = DocumentId::new();
        let near = |index, similarity| Candidate::from(Hit { document_id: document, chunk: chunk(index), similarity });
        let by_term =
            |index, term: &str| Candidate { terms: vec![term.to_owned()], ..Candidate::new(document, chunk(index)) };
        let joined =
            join([near(0, 0.9), near(1, 0.8), by_term(1, "b7"), by_term(2, "a1"), by_term(1, "a1"), by_term(1, "b7")]);
        let known: Vec<_> = joined.iter().map(|c| (c.chunk.chunk_index, c.similarity, c.terms.join(" "))).collect();
        assert_eq!(
            known,
            [(0, Some(0.9), String::new()), (1, Some(0.8), "a1 b7".to_owned()), (2, None, "a1".to_owned())]
        );
    }
}
