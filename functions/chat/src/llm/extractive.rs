//! The answerer that needs no model: the sentences of the passages that say most about the question, as they stand.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use serde_json::json;
use shared::embed::estimated_tokens;
use shared::error::ModelFault;
use shared::retrieval::content_words;
use unicode_segmentation::UnicodeSegmentation;

use super::{Call, Ending, Llm, LlmError, Piece, Prompt, PromptMessage, Turn};
use crate::event::{Source, Usage};

/// What an answer says when the documents say nothing.
const NOTHING_FOUND: &str = "The documents say nothing about this.";

/// The most sentences of an answer.
const MAX_SENTENCES: usize = 3;
/// A further sentence must say at least this share of what the best one says.
const WORTH_SAYING: f32 = 0.75;
/// Longer ones are tables and formulas that lost their shape.
const MAX_SENTENCE: usize = 600;

/// Answers with the documents' own sentences.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extractive;

#[async_trait]
impl Llm for Extractive {
    /// Searches for the question as it stands, then quotes what was found.
    async fn turn(&self, prompt: Prompt) -> Result<Turn, LlmError> {
        let asked = prompt.messages.iter().rev().find_map(|message| match message {
            PromptMessage::User(text) => Some(text.as_str()),
            _ => None,
        });
        let question = asked.unwrap_or_default();
        let mut pieces = Vec::new();
        match prompt.messages.last() {
            Some(PromptMessage::Results(outcomes)) => {
                let sources: Vec<&Source> = outcomes.iter().flat_map(|outcome| &outcome.sources).collect();
                if sources.is_empty() && outcomes.iter().any(|outcome| outcome.failed) {
                    return Err(LlmError::new(
                        ModelFault::Unavailable,
                        "there was nothing to quote: the search failed",
                    ));
                }
                let texts: Vec<String> = say(question, &sources);
                let read: usize = sources.iter().map(|source| estimated_tokens(&source.text)).sum();
                let written = texts.iter().map(|text| estimated_tokens(text)).sum();
                pieces.extend(texts.into_iter().map(Piece::Text));
                pieces.push(Piece::Usage(Usage {
                    input_tokens: estimated_tokens(question) + read,
                    output_tokens: written,
                }));
                pieces.push(Piece::End(Ending::Stop));
            }
            _ => {
                let arguments = json!({ "query": question }).to_string();
                pieces.push(Piece::Call(Call { id: "call_1".to_owned(), name: "search".to_owned(), arguments }));
                // Nothing was read or written yet.
                pieces.push(Piece::Usage(Usage::default()));
                pieces.push(Piece::End(Ending::Calls));
            }
        }
        Ok(stream::iter(pieces.into_iter().map(Ok)).boxed())
    }
}

/// The sentences of an answer, each with its marker.
fn say(question: &str, sources: &[&Source]) -> Vec<String> {
    let sentences = answer(question, sources);
    if sentences.is_empty() {
        return vec![NOTHING_FOUND.to_owned()];
    }
    let marked = |(place, sentence): (usize, &Sentence)| {
        let gap = if place == 0 { "" } else { " " };
        format!("{gap}{} [{}]", sentence.text, sources[sentence.passage].n)
    };
    sentences.iter().enumerate().map(marked).collect()
}

/// A sentence and the passage it stands in, by its place among the passages.
#[derive(Debug, Clone, PartialEq)]
struct Sentence {
    passage: usize,
    text: String,
}

struct Candidate {
    sentence: Sentence,
    words: HashSet<String>,
}

/// The sentences that answer the question best, best first; none if no sentence has anything to do with it.
fn answer(question: &str, passages: &[&Source]) -> Vec<Sentence> {
    let asked: HashSet<String> = content_words(question).into_iter().collect();
    let candidates = candidates(passages);
    let weights = weights(&asked, &candidates);
    let mut scored: Vec<(f32, &Candidate)> = candidates
        .iter()
        .map(|candidate| {
            let said: f32 = candidate.words.iter().filter_map(|word| weights.get(word.as_str())).sum();
            // Of sentences that say the same, the one from the better passage.
            let place = candidate.sentence.passage as f32 / passages.len() as f32;
            (said * (1.0 - 0.3 * place), candidate)
        })
        .filter(|(score, _)| *score > 0.0)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let best = scored.first().map_or(0.0, |(score, _)| *score);
    scored
        .iter()
        .take(MAX_SENTENCES)
        .filter(|(score, _)| *score >= best * WORTH_SAYING)
        .map(|(_, candidate)| candidate.sentence.clone())
        .collect()
}

fn candidates(passages: &[&Source]) -> Vec<Candidate> {
    let mut seen = HashSet::new();
    let mut candidates = Vec::new();
    for (passage, found) in passages.iter().enumerate() {
        let text = without_references(&found.text);
        let sentences = text.lines().flat_map(UnicodeSegmentation::unicode_sentences).map(str::trim);
        for text in sentences {
            let words: HashSet<String> = content_words(text).into_iter().collect();
            let fits = words.len() >= 2 && text.chars().count() <= MAX_SENTENCE;
            if fits && seen.insert(text.to_owned()) {
                candidates.push(Candidate { sentence: Sentence { passage, text: text.to_owned() }, words });
            }
        }
    }
    candidates
}

/// The text without its own reference marks: in an answer, `[12]` is one of ours or it is nothing.
fn without_references(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        kept.push_str(before);
        rest = match after.split_once(']') {
            Some((mark, behind)) if !mark.is_empty() && mark.bytes().all(|b| b.is_ascii_digit()) => behind,
            _ => {
                kept.push('[');
                after
            }
        };
    }
    kept.push_str(rest);
    kept
}

/// What each word of the question is worth: the rarer among the sentences, the more.
fn weights<'a>(asked: &'a HashSet<String>, candidates: &[Candidate]) -> HashMap<&'a str, f32> {
    let number = candidates.len() as f32;
    asked
        .iter()
        .map(|word| {
            let holding = candidates.iter().filter(|candidate| candidate.words.contains(word)).count() as f32;
            (word.as_str(), (1.0 + (number - holding + 0.5) / (holding + 0.5)).ln())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use shared::retrieval::Span;
    use shared::tenancy::DocumentId;

    use super::*;

    fn source(text: &str) -> Source {
        Source {
            n: 1,
            chunk_id: String::new(),
            document_id: DocumentId::new(),
            filename: "ducks.md".to_owned(),
            page: None,
            span: Span { start: 0, end: 0 },
            text: text.to_owned(),
        }
    }

    fn answer(question: &str, texts: &[&str]) -> Vec<Sentence> {
        let sources: Vec<Source> = texts.iter().map(|text| source(text)).collect();
        super::answer(question, &sources.iter().collect::<Vec<_>>())
    }

    #[test]
    fn the_sentence_that_answers_is_quoted_whole() {
        let passages = [
            "Ducks are birds. They eat mostly aquatic plants and small fish. They swim well.",
            "IBM was founded in 1911. Its headquarters are in Armonk.",
        ];
        let answer = answer("When was IBM founded?", &passages);
        assert_eq!(answer, [Sentence { passage: 1, text: "IBM was founded in 1911.".to_owned() }]);
    }

    #[test]
    fn reference_marks_of_a_source_are_not_taken_for_ours() {
        assert_eq!(without_references("It was so.[12] Then[3][4] [a] [b"), "It was so. Then [a] [b");
        let passages = ["IBM built computers in 1952.[7] They were large."];
        assert_eq!(answer("When did IBM build computers?", &passages)[0].text, "IBM built computers in 1952.");
    }

    #[test]
    fn a_question_the_passages_do_not_speak_of_has_no_answer() {
        let passages = ["Ducks are birds. They swim well."];
        assert!(answer("What is the capital of Mongolia?", &passages).is_empty());
        assert!(answer("When was it?", &passages).is_empty());
        assert!(answer("Why?", &[]).is_empty());
    }
}
