//! Which of the ranked candidates are shown, and how.

use std::collections::HashMap;
use std::hash::BuildHasher;

use super::candidate::Candidate;
use super::duplicates::Fingerprint;
use super::explain::explanations;
use super::found::{Duplicate, Explanation, FoundPassage};
use super::highlight::Highlighter;
use super::merge;
use super::passage::Passage;
use super::query::SearchQuery;
use crate::documents::Document;
use crate::tenancy::DocumentId;

/// The best of the candidates, which are best first: at most so many, of each document and in all, as the query says, each text
/// once.
pub fn select(
    query: &SearchQuery,
    candidates: Vec<Candidate>,
    documents: &HashMap<DocumentId, Document, impl BuildHasher>,
) -> Vec<FoundPassage> {
    let explained: Vec<Option<Explanation>> = if query.explain {
        explanations(&candidates).into_iter().map(Some).collect()
    } else {
        vec![None; candidates.len()]
    };
    let mut selected: Vec<Selected> = Vec::new();
    let mut of_document: HashMap<DocumentId, usize> = HashMap::new();
    for (candidate, explanation) in candidates.into_iter().zip(explained) {
        if query.min_score.is_some_and(|least| candidate.score < least) {
            continue;
        }
        let Some(document) = documents.get(&candidate.document_id) else { continue };
        let fingerprint = Fingerprint::of(&candidate.chunk.text);
        if let Some(same) = selected.iter_mut().find(|other| other.fingerprint.resembles(&fingerprint)) {
            same.duplicates.push(duplicate(&candidate, document));
            continue;
        }
        let number = of_document.entry(candidate.document_id).or_default();
        if *number < query.per_document() && selected.len() < query.limit {
            *number += 1;
            selected.push(Selected { candidate, fingerprint, duplicates: Vec::new(), explanation });
        }
    }
    let alone = |selected| Part { selected, merged: Vec::new() };
    let parts =
        if query.merge_adjacent { merge::adjacent(selected) } else { selected.into_iter().map(alone).collect() };
    let mut highlighter = Highlighter::new(&query.query);
    let shown = |part: Part| {
        let Part { selected: Selected { candidate, duplicates, explanation, .. }, merged } = part;
        let document = documents.get(&candidate.document_id)?;
        let highlights = highlighter.highlights(&candidate.chunk.text, document.language.as_ref(), &candidate.terms);
        Some(FoundPassage { passage: Passage::new(candidate, document), highlights, duplicates, merged, explanation })
    };
    parts.into_iter().filter_map(shown).collect()
}

/// A candidate that is shown.
pub(super) struct Selected {
    pub(super) candidate: Candidate,
    fingerprint: Fingerprint,
    pub(super) duplicates: Vec<Duplicate>,
    explanation: Option<Explanation>,
}

/// A part of the answer: a candidate, or several that follow each other.
pub(super) struct Part {
    pub(super) selected: Selected,
    /// The passages it is made of, if they are several.
    pub(super) merged: Vec<String>,
}

fn duplicate(candidate: &Candidate, document: &Document) -> Duplicate {
    Duplicate {
        chunk_id: candidate.chunk.id(candidate.document_id),
        document_id: candidate.document_id,
        filename: document.filename.clone(),
        collection: document.collection.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chunks::Chunk;

    fn document(id: DocumentId) -> Document {
        serde_json::from_value(json!({
            "id": id, "collection": "default", "filename": "ducks.md", "content_type": "text/markdown", "size_bytes": 1,
            "sha256": null, "version": 1, "served_version": 1, "status": "ready", "stages": [], "error": null,
            "chunk_count": 9, "metadata": {}, "created_at": "2026-11-26T12:00:00Z",
            "updated_at": "2026-11-26T12:00:00Z", "created_by": "ada",
        }))
        .unwrap()
    }

    /// Candidates of two documents, by the document, the place in it, and the text; each scores less than the one before.
    fn selected(query: &SearchQuery, candidates: &[(usize, u32, &str)]) -> Vec<FoundPassage> {
        let ids = [DocumentId::new(), DocumentId::new()];
        let documents: HashMap<_, _> = ids.iter().map(|id| (*id, document(*id))).collect();
        let candidate = |(place, (of, chunk_index, text)): (usize, &(usize, u32, &str))| {
            // Passages of 20 characters with one between them, but for what is taken up.
            let length = u32::try_from(text.chars().count()).unwrap();
            let start = chunk_index * 21;
            let chunk = Chunk {
                version: 1,
                chunk_index: *chunk_index,
                text: (*text).to_owned(),
                page: Some(chunk_index + 1),
                heading: None,
                span_start: (start + 20).saturating_sub(length),
                span_end: start + 20,
            };
            let score = 1.0 - place as f32 / 10.0;
            Candidate { score, fused: score, similarity: Some(score), ..Candidate::new(ids[*of], chunk) }
        };
        select(query, candidates.iter().enumerate().map(candidate).collect(), &documents)
    }

    fn texts(found: &[FoundPassage]) -> Vec<&str> {
        found.iter().map(|found| found.passage.text.as_str()).collect()
    }

    const FOUR: [(usize, u32, &str); 6] = [
        (0, 0, "Ducks swim."),
        (0, 2, "Geese fly."),
        (0, 4, "Swans sing."),
        (0, 6, "Coots dive."),
        (1, 0, "Rails hide."),
        (1, 2, "Owls hoot."),
    ];

    #[test]
    fn a_document_has_at_most_three_passages_unless_more_or_fewer_are_asked() {
        let with = |max_per_document| SearchQuery { max_per_document, ..SearchQuery::new("x") };
        assert_eq!(
            texts(&selected(&with(None), &FOUR)),
            ["Ducks swim.", "Geese fly.", "Swans sing.", "Rails hide.", "Owls hoot."]
        );
        assert_eq!(texts(&selected(&with(Some(1)), &FOUR)), ["Ducks swim.", "Rails hide."]);
        assert_eq!(selected(&with(Some(4)), &FOUR).len(), 6);
        let named = SearchQuery { document_ids: vec![DocumentId::new()], ..SearchQuery::new("x") };
        assert_eq!(selected(&named, &FOUR).len(), 6, "whoever names a document wants its passages");
    }

    #[test]
    fn limit_and_least_score_hold() {
        let query = SearchQuery { limit: 2, ..SearchQuery::new("x") };
        assert_eq!(texts(&selected(&query, &FOUR)), ["Ducks swim.", "Geese fly."]);
        let query = SearchQuery { min_score: Some(0.85), ..SearchQuery::new("x") };
        assert_eq!(texts(&selected(&query, &FOUR)), ["Ducks swim.", "Geese fly."]);
    }

    #[test]
    fn the_same_text_is_shown_once_and_names_the_others() {
        let candidates = [(0, 0, "Ducks swim."), (1, 5, "DUCKS  swim!"), (0, 7, "Ducks fly."), (1, 0, "ducks swim")];
        let found = selected(&SearchQuery { limit: 1, ..SearchQuery::new("x") }, &candidates);
        assert_eq!(texts(&found), ["Ducks swim."]);
        let places: Vec<_> =
            found[0].duplicates.iter().map(|other| other.chunk_id.rsplit('-').next().unwrap()).collect();
        assert_eq!(places, ["5", "0"], "also of what is not shown for the limit");
        assert_ne!(found[0].duplicates[0].document_id, found[0].passage.document_id);
    }

    #[test]
    fn passages_that_follow_each_other_are_merged_when_asked() {
        let candidates = [
            (0, 2, "They also fly south."),
            (1, 0, "Geese are other ones"),
            (0, 1, "Ducks swim on ponds."),
            (0, 3, "fly south. And return to ponds."),
            (0, 5, "Not a neighbour here"),
        ];
        let query = SearchQuery { merge_adjacent: true, max_per_document: Some(9), ..SearchQuery::new("ducks") };
        let found = selected(&query, &candidates);
        assert_eq!(
            texts(&found),
            [
                "Ducks swim on ponds.\nThey also fly south. And return to ponds.",
                "Geese are other ones",
                "Not a neighbour here"
            ]
        );
        let merged = &found[0];
        let places: Vec<_> = merged.merged.iter().map(|id| id.rsplit('-').next().unwrap()).collect();
        assert_eq!((places, merged.passage.page), (vec!["1", "2", "3"], Some(2)));
        assert!(merged.passage.chunk_id.ends_with("-2") && merged.passage.score > 0.9, "as the best of them");
        let length = merged.passage.text.chars().count();
        assert_eq!((merged.passage.span.end - merged.passage.span.start) as usize, length);
        assert_eq!(merged.highlights.len(), 1);
        assert!(found[1].merged.is_empty());
        let apart = SearchQuery { merge_adjacent: false, ..query };
        assert_eq!(selected(&apart, &candidates).len(), 5);
    }

    #[test]
    fn what_is_explained_is_the_rank_in_each_stage() {
        assert!(selected(&SearchQuery::new("x"), &FOUR).iter().all(|found| found.explanation.is_none()));
        let query = SearchQuery { explain: true, limit: 2, ..SearchQuery::new("x") };
        let found = selected(&query, &FOUR);
        let explanation = found[1].explanation.as_ref().unwrap();
        assert_eq!((explanation.vector_rank, explanation.fused_rank), (Some(2), 2));
        assert_eq!((explanation.lexical_rank, explanation.rerank_rank), (None, None));
        assert_eq!(explanation.vector_score, Some(0.9));
    }
}
