use std::ops::Range;

use super::candidate::Candidate;

/// What a score counts at least as, so that one that is 0 makes a passage less and not nothing.
const FLOOR: f32 = 0.1;

/// Gives the candidates their scores.
///
/// Similarity and lexical score are scaled to their range among what was found by meaning (Bruch, Gai and Ingber, "An Analysis of
/// Fusion Functions for Hybrid Retrieval", 2023), then pooled. What was found by its terms alone has a place in these ranges and
/// does not stretch them, so the others keep their order. Exact terms are added to that: a code that stands in one passage
/// outweighs all else.
pub(super) fn fuse(candidates: &mut [Candidate], lexical: &[f32], weight: f32) {
    let near = || candidates.iter().zip(lexical).filter(|(candidate, _)| candidate.is_near);
    let dense_range = range(near().filter_map(|(candidate, _)| candidate.similarity));
    let lexical_range = range(near().map(|(_, lexical)| *lexical));
    let most = candidates.iter().map(|candidate| candidate.exact).fold(0.0, f32::max);
    for (candidate, lexical) in candidates.iter_mut().zip(lexical) {
        // What is not known to be near is no nearer than what the vector search found last.
        let dense = candidate.similarity.map_or(0.0, |similarity| scaled(similarity, &dense_range));
        let fused = pooled(dense, scaled(*lexical, &lexical_range), weight);
        candidate.lexical = *lexical;
        candidate.fused = (fused + candidate.exact) / (1.0 + most);
        candidate.score = candidate.fused;
    }
}

/// Their geometric mean, with `weight` of the lexical and the rest of the similarity (a logarithmic opinion pool; Genest and Zidek,
/// "Combining Probability Distributions", 1986): from 0 to 1 as they are. Beside the arithmetic one it prefers what both speak for.
fn pooled(dense: f32, lexical: f32, weight: f32) -> f32 {
    ((dense + FLOOR).powf(1.0 - weight) * (lexical + FLOOR).powf(weight) - FLOOR).clamp(0.0, 1.0)
}

fn range(scores: impl Iterator<Item = f32>) -> Range<f32> {
    scores.fold(f32::INFINITY..f32::NEG_INFINITY, |range, score| range.start.min(score)..range.end.max(score))
}

/// The score with the lowest of the range at 0 and the highest at 1; 1 where there is no difference and something was found.
fn scaled(score: f32, range: &Range<f32>) -> f32 {
    let width = range.end - range.start;
    if width > f32::EPSILON {
        ((score - range.start) / width).clamp(0.0, 1.0)
    } else {
        f32::from(u8::from(score > 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunks::Chunk;
    use crate::tenancy::DocumentId;

    fn candidate(similarity: f32) -> Candidate {
        let (text, span_end) = (String::new(), 0);
        let chunk = Chunk { version: 1, chunk_index: 0, text, page: None, heading: None, span_start: 0, span_end };
        let new = Candidate::new(DocumentId::new(), chunk);
        Candidate { similarity: Some(similarity), is_near: true, ..new }
    }

    fn scores(candidates: &[Candidate], lexical: &[f32], weight: f32) -> Vec<f32> {
        let mut candidates = candidates.to_vec();
        fuse(&mut candidates, lexical, weight);
        candidates.iter().map(|candidate| candidate.score).collect()
    }

    #[test]
    fn the_weight_moves_the_order_from_meaning_to_words() {
        let (candidates, lexical) = ([0.9, 0.5, 0.1].map(candidate), [0.0, 1.0, 9.0]);
        assert!(scores(&candidates, &lexical, 0.0).is_sorted_by(|a, b| a > b));
        assert!(scores(&candidates, &lexical, 1.0).is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn what_both_speak_for_comes_before_what_one_does() {
        let scores = scores(&[0.9, 0.6, 0.1].map(candidate), &[0.0, 5.0, 9.0], 0.5);
        assert!(scores[1] > scores[0] && scores[1] > scores[2], "{scores:?}");
        assert!(scores.iter().all(|score| *score > 0.0), "{scores:?}");
    }

    #[test]
    fn scores_lie_between_0_and_1() {
        let mut candidates = [0.31, 0.30, 0.29].map(candidate).to_vec();
        candidates.push(Candidate { exact: 0.7, is_near: false, ..candidate(-0.5) });
        for score in scores(&candidates, &[3.0, 8.0, 0.0, 99.0], 0.3) {
            assert!((0.0..=1.0).contains(&score), "{score}");
        }
        let only = scores(&[candidate(0.7)], &[0.0], 0.3)[0];
        assert!(only > 0.0 && only < scores(&[candidate(0.7)], &[1.0], 0.3)[0], "{only}");
        assert!(scores(&[], &[], 0.3).is_empty());
    }

    #[test]
    fn a_code_that_stands_in_one_passage_outweighs_all_else() {
        let mut candidates = [0.9, 0.8, 0.7].map(candidate).to_vec();
        let before = scores(&candidates, &[9.0, 5.0, 0.0], 0.4);
        candidates.push(Candidate { exact: 1.0, is_near: false, similarity: None, ..candidate(0.0) });
        let after = scores(&candidates, &[9.0, 5.0, 0.0, 1.0], 0.4);
        assert!(after[3] > after[0], "{after:?}");
        let without_words = scores(&candidates, &[0.0, 0.0, 0.0, 1.0], 0.4);
        assert!(without_words[3] > without_words[0], "{without_words:?}");
        // The others stay as they were among themselves.
        for (before, after) in before.iter().zip(&after) {
            assert!((before - 2.0 * after).abs() < 1e-6);
        }
    }
}
