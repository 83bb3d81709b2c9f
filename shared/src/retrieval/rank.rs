use super::candidate::Candidate;
use super::query::{Mode, SearchQuery};
use super::{bm25, fusion};

/// The candidates by fused score, best first: BM25 over the candidates themselves beside their similarity, with `weight` as
/// the share of the former.
pub fn rank(query: &SearchQuery, weight: f32, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    let lexical = match query.mode {
        Mode::Hybrid => bm25::scores(&query.query, candidates.iter().map(Candidate::searchable)),
        Mode::Semantic => vec![0.0; candidates.len()],
    };
    let weight = if query.mode == Mode::Hybrid { weight } else { 0.0 };
    // What was found by its words alone is no nearer than what the vector search found last.
    let farthest = candidates.iter().filter_map(|candidate| candidate.similarity).fold(f32::INFINITY, f32::min);
    let farthest = if farthest.is_finite() { farthest } else { 0.0 };
    let dense: Vec<f32> = candidates.iter().map(|candidate| candidate.similarity.unwrap_or(farthest)).collect();
    for (place, score) in fusion::rank(&dense, &lexical, weight) {
        let candidate = &mut candidates[place];
        (candidate.lexical, candidate.fused, candidate.score) = (lexical[place], score, score);
    }
    // A stable sort: equals stay in the order in which they were found.
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    candidates
}
