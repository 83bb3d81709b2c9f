use super::candidate::Candidate;
use super::query::{Mode, SearchQuery};
use super::{bm25, fusion};

/// The candidates by fused score, best first: BM25 over the candidates themselves beside their similarity, with `weight` as
/// the share of the former, and what their exact terms tell. Those without a phrase that is quoted in the query are left out.
pub fn rank(query: &SearchQuery, weight: f32, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    let found = bm25::lexical(&query.query, &candidates);
    match query.mode {
        Mode::Hybrid => fusion::fuse(&mut candidates, &found.scores, weight),
        Mode::Semantic => fusion::fuse(&mut candidates, &vec![0.0; found.scores.len()], 0.0),
    }
    let mut has_phrases = found.has_phrases.into_iter();
    candidates.retain(|_| has_phrases.next().unwrap_or_default());
    // A stable sort: equals stay in the order in which they were found.
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    candidates
}
