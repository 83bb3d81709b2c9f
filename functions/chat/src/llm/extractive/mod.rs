//! The answerer that needs no model: what the passages say about the question, as they say it.

mod language;
mod rank;
mod statement;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use serde_json::json;
use shared::embed::estimated_tokens;
use shared::error::ModelFault;

use self::language::Language;
use self::rank::{Found, answers};
use self::statement::Kind;
use super::{Call, Ending, Llm, LlmError, Piece, Prompt, PromptMessage, Turn};
use crate::event::{Source, Usage};

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
        let pieces: Vec<Piece> = if let Some(PromptMessage::Results(outcomes)) = prompt.messages.last() {
            let sources: Vec<&Source> = outcomes.iter().flat_map(|outcome| &outcome.sources).collect();
            if sources.is_empty() && outcomes.iter().any(|outcome| outcome.failed) {
                return Err(LlmError::new(ModelFault::Unavailable, "there is nothing to quote: the search failed"));
            }
            let sentences = say(question, &sources);
            let read: usize = sources.iter().map(|source| estimated_tokens(&source.text)).sum();
            let written = sentences.iter().map(|sentence| estimated_tokens(sentence)).sum();
            let usage = Usage { input_tokens: estimated_tokens(question) + read, output_tokens: written };
            let end = [Piece::Usage(usage), Piece::End(Ending::Stop)];
            sentences.into_iter().map(Piece::Text).chain(end).collect()
        } else {
            let arguments = json!({ "query": question }).to_string();
            let call = Call { id: "call_1".to_owned(), name: "search".to_owned(), arguments };
            // Nothing was read or written yet.
            vec![Piece::Call(call), Piece::Usage(Usage::default()), Piece::End(Ending::Calls)]
        };
        Ok(stream::iter(pieces.into_iter().map(Ok)).boxed())
    }
}

/// The sentences of an answer, each with its marker.
fn say(question: &str, sources: &[&Source]) -> Vec<String> {
    let language = Language::of(question);
    let answers = answers(&language, question, sources);
    if answers.is_empty() {
        return vec![language.nothing().to_owned()];
    }
    let marked = |(place, Found { source, statement }): (usize, &Found)| {
        let gap = if place == 0 { "" } else { " " };
        let source = sources[*source];
        let sentence = match statement.kind {
            Kind::Sentence | Kind::Headed => statement.text.clone(),
            Kind::Row | Kind::Fragment => language.quote(&source.filename, &statement.text),
        };
        format!("{gap}{sentence} [{}]", source.n)
    };
    answers.iter().enumerate().map(marked).collect()
}

#[cfg(test)]
mod tests {
    use shared::retrieval::Span;
    use shared::tenancy::DocumentId;

    use super::*;

    fn said(question: &str, texts: &[&str]) -> String {
        let source = |(n, text): (usize, &&str)| Source {
            n,
            chunk_id: n.to_string(),
            document_id: DocumentId::new(),
            filename: "ducks.md".to_owned(),
            page: None,
            span: Span { start: 0, end: 0 },
            text: (*text).to_owned(),
        };
        let sources: Vec<Source> = (1..).zip(texts).map(source).collect();
        say(question, &sources.iter().collect::<Vec<_>>()).concat()
    }

    #[test]
    fn the_sentence_that_answers_is_quoted_whole() {
        let texts = [
            "Ducks are birds. They eat mostly aquatic plants and small fish. They swim well.",
            "IBM was founded in 1911.[7] Its headquarters are in Armonk.",
        ];
        assert_eq!(said("When was IBM founded?", &texts), "IBM was founded in 1911. [2]");
        assert_eq!(said("What do ducks eat?", &texts), "They eat mostly aquatic plants and small fish. [1]");
    }

    #[test]
    fn what_is_no_sentence_is_quoted_in_one() {
        let texts = ["id: 1; product: anvil; units: 12\nid: 2; product: bolt; units: 7"];
        let quoted = "“id: 1; product: anvil; units: 12”";
        assert_eq!(said("How many units of the anvil are there?", &texts), format!("ducks.md says: {quoted}. [1]"));
        let german = said("Wie viele units des anvil gibt es?", &texts);
        assert_eq!(german, "In ducks.md steht: „id: 1; product: anvil; units: 12“. [1]");
    }

    #[test]
    fn a_question_that_the_passages_do_not_answer_is_answered_with_that() {
        let nothing = "The documents say nothing about this.";
        let texts = ["The capital of Austria is Vienna. Ducks are birds. They eat fish."];
        for question in ["What is the capital of Mongolia?", "What do penguins eat?", "When was it?", "Why?", ""] {
            assert_eq!(said(question, &texts), nothing, "{question}");
        }
        assert_eq!(said("What do ducks eat?", &[]), nothing);
        assert_eq!(said("Wie hoch ist die Mehrwertsteuer?", &texts), "Die Dokumente sagen dazu nichts.");
    }
}
