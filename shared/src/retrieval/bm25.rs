//! BM25 over the candidates of a search, with weighted fields (BM25F: Robertson, Zaragoza and Taylor, "Simple BM25 Extension
//! to Multiple Weighted Fields", 2004), and the phrases that must stand in them.

use std::collections::{HashMap, HashSet};

use super::beginnings::Beginnings;
use super::candidate::Candidate;
use super::phrases::quoted;
use super::words::{Analyzer, each_word};
use crate::language::Language;
use crate::terms::lower;

/// How soon repeating a word stops to count (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009).
const K1: f32 = 1.2;
/// How much a long passage is held against it.
const B: f32 = 0.7;
/// How often a word counts that stands in the headings, and one in the name of the file.
const HEADING: f32 = 2.0;
const FILENAME: f32 = 1.0;

/// What the words of the candidates say about a query.
pub(super) struct Lexical {
    /// The score of each candidate; 0 for what has none of the query's words.
    pub(super) scores: Vec<f32>,
    /// Whether all quoted phrases stand in it.
    pub(super) has_phrases: Vec<bool>,
}

/// Compares candidates with a query, each in the language of its document. How much a word tells follows from how many of
/// those found by meaning have it: what was found by the word itself says nothing about that.
pub(super) fn lexical(query: &str, candidates: &[Candidate]) -> Lexical {
    let asked = Asked::new(query);
    let mut in_languages: HashMap<&Language, InLanguage> = HashMap::new();
    let default = Language::default();
    let counted: Vec<Counted> = candidates
        .iter()
        .map(|candidate| {
            let language = candidate.language.as_ref().unwrap_or(&default);
            in_languages.entry(language).or_insert_with(|| asked.in_language(language)).count(candidate)
        })
        .collect();
    let near = counted.iter().zip(candidates).filter(|(_, candidate)| candidate.is_near).map(|(counted, _)| counted);
    let sample: Vec<&Counted> = near.collect();
    let number = sample.len() as f32;
    let mean_length = sample.iter().map(|counted| counted.length).sum::<f32>() / number.max(1.0);
    let weights = (0..asked.words.len()).map(|word| {
        let having = sample.iter().filter(|counted| counted.counts[word] > 0.0).count() as f32;
        (1.0 + (number - having + 0.5) / (having + 0.5)).ln()
    });
    let weights: Vec<f32> = weights.collect();
    let score = |counted: &Counted| {
        let damping = K1 * (1.0 - B + B * counted.length / mean_length.max(1.0));
        let word = |(count, weight): (&f32, &f32)| weight * count * (K1 + 1.0) / (count + damping);
        counted.counts.iter().zip(&weights).map(word).fold(0.0, |sum, word| sum + word)
    };
    Lexical {
        scores: counted.iter().map(score).collect(),
        has_phrases: counted.iter().map(|counted| counted.has_phrases).collect(),
    }
}

/// The words of a query, in lower case.
struct Asked {
    /// Each once.
    words: Vec<String>,
    phrases: Vec<Vec<String>>,
}

impl Asked {
    fn new(query: &str) -> Self {
        let mut seen = HashSet::new();
        let mut words = lower_words(query);
        words.retain(|word| seen.insert(word.clone()));
        let phrases = quoted(query).into_iter().map(lower_words).filter(|phrase| !phrase.is_empty());
        Self { words, phrases: phrases.collect() }
    }

    /// The words as they stand in texts of a language. Stop words count only where there is nothing else.
    fn in_language(&self, language: &Language) -> InLanguage {
        let analyzer = Analyzer::new(language);
        let is_content = |word: &&String| !analyzer.is_stop_word(word);
        let has_content = self.words.iter().any(|word| is_content(&word));
        let mut forms: HashMap<String, Form> = HashMap::new();
        let mut number = |word: &String| {
            let next = forms.len();
            forms.entry(analyzer.form(word)).or_insert(Form { number: next, word: None }).number
        };
        let phrases = self.phrases.iter().map(|phrase| phrase.iter().map(&mut number).collect()).collect();
        for (place, word) in self.words.iter().enumerate().filter(|(_, word)| is_content(word) || !has_content) {
            let next = forms.len();
            let form = forms.entry(analyzer.form(word)).or_insert(Form { number: next, word: None });
            // Of two forms of a word, the first counts.
            form.word.get_or_insert(place);
        }
        let beginnings = analyzer.beginnings(forms.keys());
        InLanguage { analyzer, forms, phrases, beginnings, words: self.words.len(), known: HashMap::new() }
    }
}

fn lower_words(text: &str) -> Vec<String> {
    let (text, mut words) = (lower(text), Vec::new());
    each_word(&text, |word| words.push(word.to_owned()));
    words
}

/// A form that is looked for.
#[derive(Clone, Copy)]
struct Form {
    /// Names it within its language.
    number: usize,
    /// Which word of the query it is; none if it stands in phrases only, or tells nothing.
    word: Option<usize>,
}

/// A query as it is compared with texts of a language.
struct InLanguage {
    analyzer: Analyzer,
    forms: HashMap<String, Form>,
    phrases: Vec<Vec<usize>>,
    beginnings: Option<Beginnings>,
    /// The words of the query.
    words: usize,
    /// Words of the candidates that were compared already: most stand in many of them.
    known: HashMap<String, Option<Form>>,
}

impl InLanguage {
    fn count(&mut self, candidate: &Candidate) -> Counted {
        let mut counted = Counted { counts: vec![0.0; self.words], length: 0.0, has_phrases: self.phrases.is_empty() };
        let mut missing: HashSet<usize> = (0..self.phrases.len()).collect();
        let heading = candidate.chunk.heading.as_deref().unwrap_or_default();
        for (field, weight) in [(heading, HEADING), (&candidate.filename, FILENAME), (&candidate.chunk.text, 1.0)] {
            let (field, mut numbers) = (lower(field), Vec::new());
            each_word(&field, |word| {
                counted.length += weight;
                let form = self.form(word);
                if let Some(word) = form.and_then(|form| form.word) {
                    counted.counts[word] += weight;
                }
                if !missing.is_empty() {
                    numbers.push(form.map(|form| form.number));
                }
            });
            missing.retain(|phrase| {
                let phrase = &self.phrases[*phrase];
                let stands =
                    |words: &[Option<usize>]| words.iter().zip(phrase).all(|(one, other)| *one == Some(*other));
                !numbers.windows(phrase.len()).any(stands)
            });
        }
        counted.has_phrases = missing.is_empty();
        counted
    }

    fn form(&mut self, word: &str) -> Option<Form> {
        if self.beginnings.as_ref().is_some_and(|beginnings| !beginnings.may_have(word)) {
            return None;
        }
        if let Some(form) = self.known.get(word) {
            return *form;
        }
        let form = self.forms.get(&self.analyzer.form(word)).copied();
        self.known.insert(word.to_owned(), form);
        form
    }
}

/// How often each word of the query stands in a candidate, and how many words that has, both by the weights of fields.
struct Counted {
    counts: Vec<f32>,
    length: f32,
    has_phrases: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunks::{Chunk, Hit};
    use crate::tenancy::DocumentId;

    fn candidate(text: &str) -> Candidate {
        let (text, span_end) = (text.to_owned(), 1);
        let chunk = Chunk { version: 1, chunk_index: 0, text, page: None, heading: None, span_start: 0, span_end };
        Candidate::from(Hit { document_id: DocumentId::new(), chunk, similarity: 0.5 })
    }

    fn in_language(code: &str, text: &str) -> Candidate {
        Candidate { language: Some(Language::new(code)), ..candidate(text) }
    }

    fn of(query: &str, passages: &[&str]) -> Vec<f32> {
        lexical(query, &passages.iter().map(|text| candidate(text)).collect::<Vec<_>>()).scores
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
        assert!(of("", &["duck"])[0].is_sign_positive(), "-0 is nothing to show");
        assert_eq!(of("", &["duck"]), [0.0]);
        assert_eq!(of("duck", &[""]), [0.0]);
    }

    #[test]
    fn each_passage_is_compared_in_its_language() {
        let passages = [
            in_language("de", "Die Häuser am See."),
            in_language("en", "They die by the lake."),
            in_language("ja", "鴨は水草を食べる。"),
            in_language("ja", "鶴は飛ぶ。"),
        ];
        let scores = lexical("haus", &passages).scores;
        assert!(scores[0] > 0.0 && scores[1] == 0.0, "{scores:?}");
        // A word that tells nothing in one language tells something in another.
        let scores = lexical("die see", &passages).scores;
        assert!(scores[0] > 0.0 && scores[1] > 0.0, "{scores:?}");
        let scores = lexical("水草を食べる鳥", &passages).scores;
        assert!(scores[2] > 0.0 && scores[3] == 0.0, "{scores:?}");
    }

    #[test]
    fn a_word_in_the_headings_or_in_the_name_of_the_file_counts_too() {
        let plain = candidate("They swim.");
        let mut headed = plain.clone();
        headed.chunk.heading = Some("Birds › Ducks".to_owned());
        let named = Candidate { filename: "duck_report-2024.pdf".to_owned(), ..plain.clone() };
        let scores = lexical("ducks", &[plain, headed, named]).scores;
        assert!(scores[0] == 0.0 && scores[1] > scores[2] && scores[2] > 0.0, "{scores:?}");
    }

    #[test]
    fn what_was_found_by_a_word_does_not_make_it_common() {
        let near = [candidate("error E4821"), candidate("the pump"), candidate("the pump stops")];
        let mut with_others = near.to_vec();
        with_others.extend((0..20).map(|_| Candidate { is_near: false, ..candidate("E4821") }));
        assert_eq!(lexical("pump E4821", &near).scores, lexical("pump E4821", &with_others).scores[..3]);
    }

    /// What the formula gives, each word of each passage looked at.
    #[test]
    fn scores_are_those_of_the_formula_whatever_is_passed_over() {
        let passages = [
            (
                "en",
                "Ducks dive for mussels; the duck’s bill, “broad and flat”, sieves the mud — up to 1,200.5 times a day…",
            ),
            ("en", "The mussels were counted in the northern lakes before the ducks came."),
            ("de", "Die Enten tauchen nach Muscheln. Große Häuser stehen am See; die Ente schläft."),
            ("ru", "Утки ныряют за мидиями, а чайка ищет рыбу у берега."),
            ("ja", "鴨は水草を食べる。"),
            ("ar", "البطة تسبح في البحيرة وتأكل النباتات"),
            ("en", "ＤＵＣＫＳ e\u{301}te\u{301} ERR-4821 ﬁnal"),
        ];
        let candidates = passages.map(|(code, text)| {
            let mut candidate = Candidate { filename: "duck_report-2024.pdf".to_owned(), ..in_language(code, text) };
            candidate.chunk.heading = Some("Birds › Ducks".to_owned());
            candidate
        });
        for (query, expected) in [
            ("which ducks dive for mussels?", [2.508, 1.231, 0.098, 0.089, 0.093, 0.095, 0.115]),
            (r#"große Enten im Haus "ente schläft""#, [0.0, 0.0, 6.968, 0.0, 0.0, 0.0, 0.0]),
            ("утка у рыбы 水草を البطات été err 4821", [0.0, 0.0, 0.0, 3.368, 3.595, 0.0, 5.645]),
        ] {
            let scores = lexical(query, &candidates).scores;
            let is_near = |(score, expected): (&f32, &f32)| (score - expected).abs() < 6e-4;
            assert!(scores.iter().zip(&expected).all(is_near), "{query}: {scores:?}");
        }
    }

    #[test]
    fn a_quoted_phrase_must_stand_there_in_one_piece() {
        let stands = |query: &str, text: &str| lexical(query, &[candidate(text)]).has_phrases[0];
        assert!(stands(r#""heat transfer""#, "The HEAT transfers fast."));
        assert!(!stands(r#""heat transfer""#, "The transfer of heat."));
        assert!(!stands(r#""heat transfer""#, "Heat is lost. In transfer."), "not where other words are between");
        assert!(stands(r#"why "to be" "or not""#, "To be or not to be."));
        assert!(!stands(r#"why "to be" "or never""#, "To be or not to be."));
        assert!(stands(r#""ERR-4821""#, "Error ERR 4821."));
        assert!(stands("「水草を」", "鴨は水草を食べる。"));
        assert!(stands("no phrase", "at all") && stands(r#""""#, "") && !stands(r#""x""#, ""));
    }
}
