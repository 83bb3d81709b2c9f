//! Which statements answer a question.

use std::collections::{HashMap, HashSet};

use super::language::Language;
use super::statement::{Kind, Statement, statements};
use crate::event::Source;

/// The most statements of an answer.
const MOST: usize = 3;
/// A further statement must be about as good as the best.
const FURTHER: f32 = 0.95;
/// A statement must have so much of what is asked, by the worth of its words,
const OWN: f32 = 0.5;
/// a row a little less, since its table has the rest,
const OWN_OF_ROW: f32 = 0.4;
/// and with what stands above it so much. Otherwise it speaks of something else.
const WITH_CONTEXT: f32 = 0.6;
/// A question with no more words may well ask what something is; a statement that says so is so much better.
const FEW: usize = 3;
const DEFINES: f32 = 1.15;
/// What a word above a statement counts, beside one in it.
const CONTEXT: f32 = 0.4;
/// What a word counts that begins like one that is asked for, or the other way round.
const BEGINNING: f32 = 0.8;
/// Shorter words have beginnings in common by chance.
const LONG_ENOUGH: usize = 5;

/// A statement and the place of its source.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) source: usize,
    pub(super) statement: Statement,
}

struct Candidate {
    found: Found,
    words: HashSet<String>,
    context: HashSet<String>,
}

struct Scored {
    score: f32,
    own: f32,
    with_context: f32,
    candidate: Candidate,
}

/// The statements that answer the question best, best first, all of one document; none if no statement does.
pub(super) fn answers(language: &Language, question: &str, sources: &[&Source]) -> Vec<Found> {
    let asked = language.words(question);
    let candidates = candidates(language, sources);
    let worth = worth(&asked, &candidates);
    let all: f32 = worth.values().sum();
    let score = |candidate: Candidate| {
        let (mut own, mut context) = (0.0, 0.0);
        for (word, worth) in &worth {
            let said = matched(word, &candidate.words);
            own += worth * said;
            context += worth * (matched(word, &candidate.context) - said).max(0.0);
        }
        // Sources come best first.
        let place = candidate.found.source as f32 / sources.len() as f32;
        let statement = &candidate.found.statement;
        let shape = match statement.kind {
            Kind::Sentence | Kind::Row => 1.0,
            Kind::Headed => 0.9,
            Kind::Fragment => 0.8,
        };
        let defines = if asked.len() <= FEW && language.defines(&statement.text) { DEFINES } else { 1.0 };
        let score = (own + CONTEXT * context) / all * (1.0 - 0.15 * place) * shape * defines;
        Scored { score, own: own / all, with_context: (own + context) / all, candidate }
    };
    let answers = |scored: &Scored| {
        let least = if scored.candidate.found.statement.kind == Kind::Row { OWN_OF_ROW } else { OWN };
        scored.own >= least && scored.with_context >= WITH_CONTEXT
    };
    let mut scored: Vec<Scored> = candidates.into_iter().map(score).filter(answers).collect();
    // Of what is as good, the shorter.
    let length = |scored: &Scored| scored.candidate.found.statement.text.len();
    scored.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| length(a).cmp(&length(b))));
    let Some(best) = scored.first() else { return Vec::new() };
    let (least, document) = (best.score * FURTHER, sources[best.candidate.found.source].document_id);
    let mut answers: Vec<Found> = Vec::new();
    for Scored { candidate: Candidate { found, .. }, score, .. } in scored {
        if score < least || answers.len() == MOST {
            break;
        }
        let text = &found.statement.text;
        let new =
            answers.iter().map(|said| &said.statement.text).all(|said| !said.contains(text) && !text.contains(said));
        if new && sources[found.source].document_id == document {
            answers.push(found);
        }
    }
    answers
}

fn candidates(language: &Language, sources: &[&Source]) -> Vec<Candidate> {
    let (mut seen, mut candidates) = (HashSet::new(), Vec::new());
    for (place, source) in sources.iter().enumerate() {
        // The name of a document often says what it is about.
        let name = source.filename.replace(['-', '_', '.'], " ");
        for statement in statements(&source.text) {
            let words = language.words(&statement.text);
            if words.len() < 2 || !seen.insert(statement.text.clone()) {
                continue;
            }
            let context = language.words(&format!("{name}\n{}", statement.context));
            candidates.push(Candidate { found: Found { source: place, statement }, words, context });
        }
    }
    candidates
}

/// What each word of the question is worth: the rarer among the statements, the more. One that no statement has is worth most.
fn worth<'a>(asked: &'a HashSet<String>, candidates: &[Candidate]) -> HashMap<&'a str, f32> {
    let number = candidates.len() as f32;
    asked
        .iter()
        .map(|word| {
            let holding = candidates.iter().filter(|candidate| matched(word, &candidate.words) > 0.0).count() as f32;
            (word.as_str(), (1.0 + (number - holding + 0.5) / (holding + 0.5)).ln())
        })
        .collect()
}

fn matched(word: &str, words: &HashSet<String>) -> f32 {
    let long = |word: &str| word.chars().count() >= LONG_ENOUGH;
    if words.contains(word) {
        1.0
    } else if long(word)
        && words.iter().any(|other| long(other) && (other.starts_with(word) || word.starts_with(other.as_str())))
    {
        BEGINNING
    } else {
        0.0
    }
}
