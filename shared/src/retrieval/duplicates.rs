//! Passages that say the same.

use crate::terms::{is_alphanumeric, is_numeric, lower};

/// Words that are compared together: their order counts as well.
const SHINGLE: usize = 3;
/// Of the shingles of two texts that are nearly the same, so many are in both (Broder, "On the resemblance and containment of
/// documents", 1997).
const RESEMBLANCE: f32 = 0.9;
/// The smallest shingles of a text: a sample that is taken of each text in the same way. Of two that are nearly the same, at
/// least half of them are in both; others are not worth comparing.
const SAMPLE: usize = 8;

/// What a text says, to tell whether another one says the same.
pub(super) struct Fingerprint {
    /// The hash of each shingle once, in their order.
    shingles: Vec<u64>,
    /// Of all words that hold a digit: where those differ, two texts are about different things, however alike they are.
    numbers: u64,
}

impl Fingerprint {
    pub(super) fn of(text: &str) -> Self {
        let text = lower(text);
        let (mut words, mut numbers) = (Vec::with_capacity(text.len() / 5), SEED);
        let (mut word, mut has_number) = (SEED, false);
        for c in text.chars().chain([' ']) {
            if is_alphanumeric(c) {
                word = mix(word, u64::from(c));
                has_number |= is_numeric(c);
            } else if word != SEED {
                words.push(word);
                if has_number {
                    numbers = mix(numbers, word);
                }
                (word, has_number) = (SEED, false);
            }
        }
        let shingle = |words: &[u64]| words.iter().fold(SEED, |shingle, word| mix(shingle, *word));
        let mut shingles: Vec<u64> = words.windows(SHINGLE.min(words.len()).max(1)).map(shingle).collect();
        shingles.sort_unstable();
        shingles.dedup();
        Self { shingles, numbers }
    }

    /// Whether the two texts are the same but for a few words, none of which holds a digit.
    pub(super) fn resembles(&self, other: &Self) -> bool {
        let (a, b) = (&self.shingles, &other.shingles);
        if self.numbers != other.numbers || a.is_empty() != b.is_empty() {
            return false;
        }
        let sample = SAMPLE.min(a.len()).min(b.len());
        if 2 * common(&a[..sample], &b[..sample]) < sample {
            return false;
        }
        let both = common(a, b);
        both as f32 >= RESEMBLANCE * (a.len() + b.len() - both) as f32
    }
}

/// How many numbers are in both lists, which are in order.
fn common(mut a: &[u64], mut b: &[u64]) -> usize {
    let mut common = 0;
    while let ([first, a_rest @ ..], [other, b_rest @ ..]) = (a, b) {
        common += usize::from(first == other);
        (a, b) = (if first <= other { a_rest } else { a }, if other <= first { b_rest } else { b });
    }
    common
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// The hash of a sequence with one more number: of a word its characters, of several words their hashes.
fn mix(sequence: u64, next: u64) -> u64 {
    let mixed = (sequence.rotate_left(5) ^ next).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUCKS: &str = "Mallards feed by dabbling and grazing, and rarely dive. They eat seeds, stems and roots of plants, and \
        also insects, worms and snails; in parks they take the bread that people throw to them, which is not good for them.";

    fn resemble(a: &str, b: &str) -> bool {
        Fingerprint::of(a).resembles(&Fingerprint::of(b))
    }

    #[test]
    fn case_punctuation_and_space_make_no_difference() {
        assert!(resemble(DUCKS, &DUCKS.to_uppercase().replace(' ', "\n  ").replace(',', " –")));
        assert!(resemble("Ducks", "ducks!") && resemble("", " … ") && resemble("Große Enten", "GROßE ENTEN"));
    }

    #[test]
    fn few_other_words_make_no_difference_and_many_do() {
        assert!(resemble(DUCKS, &format!("{DUCKS} Read more.")));
        assert!(resemble(DUCKS, &DUCKS.replace("Mallards", "Ducks")));
        assert!(!resemble(DUCKS, &format!("{DUCKS} {}", DUCKS.to_lowercase().replace(' ', " not "))));
        assert!(!resemble("Ducks swim.", "Ducks fly.") && !resemble(DUCKS, "") && !resemble("", DUCKS));
    }

    #[test]
    fn other_numbers_are_another_thing() {
        let offer = |price: &str| format!("{DUCKS} Price of a bag of oats, delivered to your door: {price}.");
        assert!(resemble(&offer("€ 12"), &offer("12 €")));
        assert!(!resemble(&offer("€ 12"), &offer("€ 13")));
        assert!(!resemble(&offer("E4821"), &offer("E4822")));
    }

    #[test]
    fn the_same_words_in_another_order_are_another_text() {
        let backwards: Vec<&str> = DUCKS.split(' ').rev().collect();
        assert!(!resemble(DUCKS, &backwards.join(" ")));
    }
}
