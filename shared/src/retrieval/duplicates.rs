//! Passages that say the same.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// Words that are compared together: their order counts as well.
const SHINGLE: usize = 3;
/// Of the shingles of two texts that are nearly the same, so many are in both (Broder, "On the resemblance and containment of
/// documents", 1997).
const RESEMBLANCE: f64 = 0.9;
/// Bits of the two sketches that may differ. It is far more than differ at that resemblance: the sketches only tell which texts
/// are worth comparing.
const SKETCH_BITS: u32 = 16;

/// What a text says, to tell whether another one says the same.
pub(super) struct Fingerprint {
    shingles: HashSet<u64>,
    /// One number of similar texts differs from the other in few bits (Charikar, "Similarity estimation techniques from rounding
    /// algorithms", 2002).
    sketch: u64,
    /// The words that hold a digit: where those differ, two texts are about different things, however alike they are.
    numbers: Vec<u64>,
}

impl Fingerprint {
    pub(super) fn of(text: &str) -> Self {
        let mut numbers = Vec::new();
        let mut words = Vec::new();
        let lower = |word: &str| word.chars().flat_map(char::to_lowercase).collect::<String>();
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let hash = hash(&lower(word));
            words.push(hash);
            if word.contains(|c: char| c.is_numeric()) {
                numbers.push(hash);
            }
        }
        let shingles: HashSet<u64> =
            words.windows(SHINGLE.min(words.len()).max(1)).map(|shingle| hash(&shingle)).collect();
        Self { sketch: sketch(&shingles), shingles, numbers }
    }

    /// Whether the two texts are the same but for a few words, none of which holds a digit.
    pub(super) fn resembles(&self, other: &Self) -> bool {
        if (self.sketch ^ other.sketch).count_ones() > SKETCH_BITS || self.numbers != other.numbers {
            return false;
        }
        let both = self.shingles.intersection(&other.shingles).count() as f64;
        let either = (self.shingles.len() + other.shingles.len()) as f64 - both;
        both >= RESEMBLANCE * either
    }
}

/// Each bit is what most shingles have there.
fn sketch(shingles: &HashSet<u64>) -> u64 {
    let mut counts = [0_i32; 64];
    for shingle in shingles {
        for (bit, count) in counts.iter_mut().enumerate() {
            *count += if shingle >> bit & 1 == 1 { 1 } else { -1 };
        }
    }
    counts.iter().enumerate().filter(|(_, count)| **count > 0).fold(0, |sketch, (bit, _)| sketch | 1 << bit)
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
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
        assert!(resemble("Ducks", "ducks!") && resemble("", " … "));
    }

    #[test]
    fn few_other_words_make_no_difference_and_many_do() {
        assert!(resemble(DUCKS, &format!("{DUCKS} Read more.")));
        assert!(!resemble(DUCKS, &format!("{DUCKS} {}", DUCKS.to_lowercase().replace(' ', " not "))));
        assert!(!resemble("Ducks swim.", "Ducks fly.") && !resemble(DUCKS, ""));
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
