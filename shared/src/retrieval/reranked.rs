use super::candidate::Candidate;
use crate::rerank::{RerankError, Reranker};

/// Puts the best of the candidates in the order of their relevance. Those that the reranker was not asked about stay behind
/// them, and their scores below theirs.
pub(super) async fn rerank(reranker: &Reranker, query: &str, candidates: &mut [Candidate]) -> Result<(), RerankError> {
    let asked = candidates.len().min(reranker.passages);
    let texts: Vec<String> = candidates[..asked].iter().map(Candidate::searchable).collect();
    let relevances = reranker.relevances(query, &texts).await?;
    let lowest = relevances.iter().flatten().copied().fold(1.0, f32::min);
    for (candidate, relevance) in candidates.iter_mut().zip(relevances.into_iter().chain(std::iter::repeat(None))) {
        candidate.relevance = relevance;
        candidate.score = relevance.unwrap_or(candidate.fused * lowest);
    }
    candidates.sort_by(|a, b| b.relevance.is_some().cmp(&a.relevance.is_some()).then(b.score.total_cmp(&a.score)));
    Ok(())
}
