use std::collections::HashMap;

use super::words::{content_words, words};

/// How soon repeating a word stops to count (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009).
const K1: f32 = 0.9;
/// How much a long passage is held against it.
const B: f32 = 0.4;

/// The BM25 score of each passage for the query. The document frequencies are those of the passages themselves: among the
/// candidates of a vector search, what all of them share says nothing, and what one alone holds says much.
pub(super) fn scores(query: &str, passages: impl Iterator<Item = String>) -> Vec<f32> {
    let mut terms: HashMap<String, usize> = HashMap::new();
    let mut asked = content_words(query);
    if asked.is_empty() {
        // "To be or not to be".
        asked = words(query);
    }
    for word in asked {
        let next = terms.len();
        terms.entry(word).or_insert(next);
    }
    let counted: Vec<Counted> = passages.map(|passage| Counted::new(&passage, &terms)).collect();
    let number = counted.len() as f32;
    let mean_length = counted.iter().map(|passage| passage.length).sum::<f32>() / number.max(1.0);
    let weights: Vec<f32> = (0..terms.len())
        .map(|term| {
            let holding = counted.iter().filter(|passage| passage.counts[term] > 0.0).count() as f32;
            (1.0 + (number - holding + 0.5) / (holding + 0.5)).ln()
        })
        .collect();
    counted
        .iter()
        .map(|passage| {
            let damping = K1 * (1.0 - B + B * passage.length / mean_length.max(1.0));
            let term = |(count, weight): (&f32, &f32)| weight * count * (K1 + 1.0) / (count + damping);
            passage.counts.iter().zip(&weights).map(term).sum()
        })
        .collect()
}

/// How often each term of the query stands in a passage, and how many words the passage has.
struct Counted {
    counts: Vec<f32>,
    length: f32,
}

impl Counted {
    fn new(passage: &str, terms: &HashMap<String, usize>) -> Self {
        let words = words(passage);
        let mut counts = vec![0.0; terms.len()];
        for term in words.iter().filter_map(|word| terms.get(word)) {
            counts[*term] += 1.0;
        }
        Self { counts, length: words.len() as f32 }
    }
}

#[cfg(test)]
mod tests {
    use super::scores;

    fn of(query: &str, passages: &[&str]) -> Vec<f32> {
        scores(query, passages.iter().map(|passage| (*passage).to_owned()))
    }

    #[test]
    fn the_rare_word_outweighs_the_common_one() {
        let scores = of("pump E4821", &["the pump runs", "the pump stops", "error E4821", "the pump leaks"]);
        assert!(scores[2] > scores[0], "{scores:?}");
    }

    #[test]
    fn forms_of_a_word_are_the_same_word() {
        let scores = of("swimming ducks", &["The duck swims.", "Quarterly revenue."]);
        assert!(scores[0] > 0.0 && scores[1] == 0.0, "{scores:?}");
    }

    #[test]
    fn stop_words_count_only_where_there_is_nothing_else() {
        let scores = of("what is the duck", &["what is the", "duck"]);
        assert!(scores[0] == 0.0 && scores[1] > 0.0, "{scores:?}");
        let scores = of("to be or not to be", &["to be", "duck"]);
        assert!(scores[0] > 0.0 && scores[1] == 0.0, "{scores:?}");
    }

    #[test]
    fn nothing_is_found_in_nothing() {
        assert!(of("duck", &[]).is_empty());
        assert_eq!(of("", &["duck"]), [0.0]);
        assert_eq!(of("duck", &[""]), [0.0]);
    }
}
