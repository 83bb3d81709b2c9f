/// The candidates by fused score, best first, each by its place in the input.
///
/// Both scores are scaled to the range of the candidates, then added as `weight` of the lexical and the rest of the dense
/// (a convex combination; Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023).
pub(super) fn rank(dense: &[f32], lexical: &[f32], weight: f32) -> Vec<(usize, f32)> {
    let dense = scaled(dense);
    let lexical = scaled(lexical);
    let mut ranked: Vec<(usize, f32)> = dense
        .into_iter()
        .zip(lexical)
        .map(|(dense, lexical)| weight.mul_add(lexical, (1.0 - weight) * dense))
        .enumerate()
        .collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked
}

/// The scores with the lowest at 0 and the highest at 1; all 1 where there is no difference and something was found.
fn scaled(scores: &[f32]) -> Vec<f32> {
    let low = scores.iter().copied().fold(f32::INFINITY, f32::min);
    let high = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = high - low;
    let scale =
        |score: &f32| if range > f32::EPSILON { (score - low) / range } else { f32::from(u8::from(high > 0.0)) };
    scores.iter().map(scale).collect()
}

#[cfg(test)]
mod tests {
    use super::rank;

    fn order(dense: &[f32], lexical: &[f32], weight: f32) -> Vec<usize> {
        rank(dense, lexical, weight).into_iter().map(|(place, _)| place).collect()
    }

    #[test]
    fn the_weight_moves_the_order_from_meaning_to_words() {
        let (dense, lexical) = ([0.9, 0.5, 0.1], [0.0, 1.0, 9.0]);
        assert_eq!(order(&dense, &lexical, 0.0), [0, 1, 2]);
        assert_eq!(order(&dense, &lexical, 1.0), [2, 1, 0]);
    }

    #[test]
    fn scores_lie_between_0_and_1() {
        for (_, score) in rank(&[0.31, 0.30, 0.29], &[3.0, 8.0, 0.0], 0.3) {
            assert!((0.0..=1.0).contains(&score), "{score}");
        }
        assert_eq!(rank(&[0.7], &[0.0], 0.3), [(0, 0.7)]);
        assert!(rank(&[], &[], 0.3).is_empty());
    }
}
