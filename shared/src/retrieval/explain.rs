use super::candidate::Candidate;
use super::found::Explanation;

/// How each of the candidates was found, in their order.
pub(super) fn explanations(candidates: &[Candidate]) -> Vec<Explanation> {
    let vector = ranks(candidates, |candidate| candidate.similarity);
    let lexical = ranks(candidates, |candidate| Some(candidate.lexical).filter(|score| *score > 0.0));
    let fused = ranks(candidates, |candidate| Some(candidate.fused));
    let rerank = ranks(candidates, |candidate| candidate.relevance);
    let explanation = |(place, candidate): (usize, &Candidate)| Explanation {
        vector_score: candidate.similarity,
        vector_rank: vector[place],
        lexical_score: candidate.lexical,
        lexical_rank: lexical[place],
        exact_terms: candidate.terms.clone(),
        fused_score: candidate.fused,
        fused_rank: fused[place].unwrap_or_default(),
        rerank_score: candidate.relevance,
        rerank_rank: rerank[place],
    };
    candidates.iter().enumerate().map(explanation).collect()
}

/// The rank of each candidate by a score, from 1; none for those without.
fn ranks(candidates: &[Candidate], score: impl Fn(&Candidate) -> Option<f32>) -> Vec<Option<usize>> {
    let scored = candidates.iter().enumerate().filter_map(|(place, candidate)| Some((place, score(candidate)?)));
    let mut scored: Vec<_> = scored.collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut ranks = vec![None; candidates.len()];
    for (rank, (place, _)) in (1..).zip(scored) {
        ranks[place] = Some(rank);
    }
    ranks
}
