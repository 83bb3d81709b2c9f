//! What of a conversation a model is shown before a question.

use shared::embed::estimated_tokens;

use super::fence::{Fence, cut};
use crate::event::Source;
use crate::llm::PromptMessage;

/// Characters that are shown of a passage which an earlier answer cites.
const EXCERPT: usize = 300;
/// Characters of a token, roughly.
const CHARACTERS: usize = 4;

/// A question and its answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Exchange {
    pub(crate) question: String,
    pub(crate) answer: String,
    /// What the answer cites.
    pub(crate) cited: Vec<Source>,
}

/// The last exchanges of a conversation that fit into so many tokens, oldest first. The very last is shown in any case, cut if it
/// is too long. What tools found is not shown again, but for the beginnings of passages that an answer cites: they may be cited
/// again.
pub(crate) fn shown(mut exchanges: Vec<Exchange>, tokens: u32, fence: &Fence) -> Vec<PromptMessage> {
    let budget = tokens as usize;
    let (mut taken, mut first) = (0, exchanges.len());
    for (place, exchange) in exchanges.iter().enumerate().rev() {
        taken += exchange.tokens();
        if taken > budget && first < exchanges.len() {
            break;
        }
        first = place;
    }
    exchanges.drain(..first);
    if let [only] = exchanges.as_mut_slice()
        && only.tokens() > budget
    {
        only.question = cut(&only.question, budget * CHARACTERS / 4);
        only.answer = cut(&only.answer, budget * CHARACTERS / 2);
    }
    let mut cited: Vec<Source> = Vec::new();
    for source in exchanges.iter().flat_map(|exchange| &exchange.cited) {
        if cited.iter().all(|known| known.n != source.n) {
            cited.push(source.clone());
        }
    }
    cited.sort_by_key(|source| source.n);
    let mut messages = Vec::with_capacity(exchanges.len() * 2);
    for Exchange { question, answer, .. } in exchanges {
        let question = if messages.is_empty() && !cited.is_empty() {
            let passages = fence.passages(&cited, EXCERPT);
            format!("Passages that answers below cite, each from its beginning:\n{passages}\n\n{question}")
        } else {
            question
        };
        messages.push(PromptMessage::User(question));
        messages.push(PromptMessage::Assistant { text: answer, calls: Vec::new() });
    }
    messages
}

impl Exchange {
    fn tokens(&self) -> usize {
        let excerpts =
            self.cited.iter().map(|source| estimated_tokens(&source.text).min(EXCERPT / CHARACTERS)).sum::<usize>();
        estimated_tokens(&self.question) + estimated_tokens(&self.answer) + excerpts
    }
}

#[cfg(test)]
mod tests {
    use shared::retrieval::Span;
    use shared::tenancy::DocumentId;

    use super::*;

    fn exchange(question: &str, answer: &str, cited: Vec<Source>) -> Exchange {
        Exchange { question: question.to_owned(), answer: answer.to_owned(), cited }
    }

    fn texts(messages: &[PromptMessage]) -> Vec<&str> {
        let mut texts = Vec::new();
        for message in messages {
            match message {
                PromptMessage::User(text) | PromptMessage::Assistant { text, .. } => texts.push(text.as_str()),
                PromptMessage::Results(_) => panic!("results are not repeated"),
            }
        }
        texts
    }

    #[test]
    fn whole_exchanges_are_shown_from_the_end() {
        let exchanges =
            || (1..=4).map(|n| exchange(&format!("Question {n}?"), &format!("Answer {n}."), vec![])).collect();
        let each = exchange("Question 1?", "Answer 1.", vec![]).tokens();
        let shown = |tokens: usize| shown(exchanges(), u32::try_from(tokens).unwrap(), &Fence::new());
        assert_eq!(texts(&shown(2 * each)), ["Question 3?", "Answer 3.", "Question 4?", "Answer 4."]);
        assert_eq!(texts(&shown(3 * each - 1)), ["Question 3?", "Answer 3.", "Question 4?", "Answer 4."]);
        assert_eq!(shown(100 * each).len(), 8);
        let long = vec![exchange("Question?", &"word ".repeat(1000), vec![])];
        let shown = super::shown(long, 100, &Fence::new());
        let [_, answer] = texts(&shown)[..] else { panic!("{shown:?}") };
        assert!(answer.len() < 300 && answer.ends_with("[…cut here]"), "{answer}");
    }

    #[test]
    fn what_was_cited_is_shown_once_fenced_and_from_its_beginning() {
        let source = |n: usize, text: &str| Source {
            n,
            chunk_id: format!("c{n}"),
            document_id: DocumentId::new(),
            filename: "ducks.md".to_owned(),
            page: None,
            span: Span { start: 0, end: 9 },
            text: text.to_owned(),
        };
        let long = "duck ".repeat(200);
        let exchanges = vec![
            exchange("First?", "One [2].", vec![source(2, &long)]),
            exchange("Second?", "Two [1][2].", vec![source(1, "Ducks swim."), source(2, &long)]),
        ];
        let fence = Fence::new();
        let shown = shown(exchanges, 4000, &fence);
        let [first, ..] = texts(&shown)[..] else { panic!("{shown:?}") };
        assert!(first.ends_with("\n\nFirst?"), "{first}");
        let (one, two) = (first.find("[1] ducks.md").unwrap(), first.find("[2] ducks.md").unwrap());
        assert!(
            one < two && first.find(&fence.opening()).unwrap() < one && first.find(&fence.closing()).unwrap() > two
        );
        assert_eq!(first.matches("[2]").count(), 1);
        assert!(first.len() < long.len(), "{first}");
    }
}
