//! One answer from question to `done`.

use async_stream::stream;
use futures::Stream;
use serde_json::json;
use shared::embed::estimated_tokens;
use shared::error::Error;
use shared::http::{RequestId, problem_for};
use shared::retrieval::{Passage, SearchQuery};
use shared::tenancy::{CollectionId, ConversationId, MessageId, Principal};
use time::OffsetDateTime;

use crate::State;
use crate::conversations::{Author, Message};
use crate::event::{Citation, Event, FinishReason, Source, Usage};
use crate::extractive;

/// Passages that an answer is made of.
const PASSAGES: usize = 8;
/// What an answer says when the documents say nothing.
const NOTHING_FOUND: &str = "The documents say nothing about this.";

/// A question, checked.
pub(crate) struct Question {
    pub(crate) principal: Principal,
    pub(crate) conversation: ConversationId,
    pub(crate) text: String,
    pub(crate) collections: Vec<CollectionId>,
}

/// The answer as it is made. What was said is stored before `done`, so that who saw `done` can read it back.
pub(crate) fn answer(state: State, question: Question, request_id: RequestId) -> impl Stream<Item = Event> {
    stream! {
        let message_id = MessageId::new();
        yield Event::Start { message_id, conversation_id: question.conversation, model: extractive::MODEL.to_owned() };

        let call = "call_1".to_owned();
        let mut arguments = json!({ "query": question.text });
        if !question.collections.is_empty() {
            arguments["collections"] = json!(question.collections);
        }
        yield Event::ToolCall { id: call.clone(), name: "search".to_owned(), arguments };

        let mut said = Said::default();
        let outcome = match retrieve(&state, &question).await {
            Ok(passages) => {
                said.sources = passages.iter().zip(1..).map(|(passage, n)| Source::new(n, passage)).collect();
                yield Event::ToolResult { id: call, sources: said.sources.clone(), error: None };
                for event in said.compose(&question.text, &passages) {
                    yield event;
                }
                yield Event::Usage(said.usage);
                state.conversations.add(&question.principal, question.conversation, &said.message(message_id)).await
            }
            Err(error) => Err(error),
        };
        let finish_reason = match outcome {
            Ok(()) => FinishReason::Stop,
            Err(error) => {
                tracing::error!(request_id = request_id.0, %error, "the answer failed");
                let mut problem = problem_for(&error);
                problem.request_id = request_id.0;
                yield Event::Error(Box::new(problem));
                FinishReason::Error
            }
        };
        yield Event::Done { finish_reason, message_id };
    }
}

async fn retrieve(state: &State, question: &Question) -> Result<Vec<Passage>, Error> {
    let collections = question.collections.clone();
    let query = SearchQuery { collections, limit: PASSAGES, ..SearchQuery::new(question.text.clone()) };
    state.retriever.search(&question.principal, &query).await
}

/// What was said so far.
#[derive(Default)]
struct Said {
    text: String,
    /// The length of the text in UTF-16 code units.
    length: usize,
    sources: Vec<Source>,
    citations: Vec<Citation>,
    usage: Usage,
}

impl Said {
    /// The answer in deltas, each citation behind the delta that holds its marker.
    fn compose(&mut self, question: &str, passages: &[Passage]) -> Vec<Event> {
        let mut events = Vec::new();
        let sentences = extractive::answer(question, passages);
        if sentences.is_empty() {
            events.push(self.say(NOTHING_FOUND));
        }
        for sentence in sentences {
            let gap = if self.text.is_empty() { "" } else { " " };
            let source = &self.sources[sentence.passage];
            let (n, chunk_id, document_id) = (source.n, source.chunk_id.clone(), source.document_id);
            let marker = format!("[{n}]");
            events.push(self.say(&format!("{gap}{} {marker}", sentence.text)));
            let citation = Citation { n, chunk_id, document_id, start: self.length - marker.len(), end: self.length };
            self.citations.push(citation.clone());
            events.push(Event::Citation(citation));
        }
        let read: usize = passages.iter().map(|passage| estimated_tokens(&passage.text)).sum();
        self.usage =
            Usage { input_tokens: estimated_tokens(question) + read, output_tokens: estimated_tokens(&self.text) };
        events
    }

    fn say(&mut self, text: &str) -> Event {
        self.text.push_str(text);
        self.length += text.encode_utf16().count();
        Event::Delta { text: text.to_owned() }
    }

    fn message(self, id: MessageId) -> Message {
        Message {
            id,
            role: Author::Assistant,
            content: self.text,
            sources: self.sources,
            citations: self.citations,
            usage: Some(self.usage),
            model: Some(extractive::MODEL.to_owned()),
            finish_reason: Some(FinishReason::Stop),
            created_at: OffsetDateTime::now_utc(),
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::retrieval::Span;
    use shared::tenancy::DocumentId;

    use super::*;

    #[test]
    fn a_citation_says_where_its_marker_stands_in_utf_16() {
        let passage = |text: &str| Passage {
            chunk_id: "c".to_owned(),
            document_id: DocumentId::new(),
            filename: "f".to_owned(),
            collection: CollectionId::default_collection(),
            page: None,
            heading: None,
            span: Span { start: 0, end: 0 },
            text: text.to_owned(),
            score: 1.0,
        };
        let passages = [passage("Ducks 🦆 swim in cafe\u{301}s."), passage("Ducks 🦆 fly over lakes.")];
        let sources = passages.iter().zip(1..).map(|(passage, n)| Source::new(n, passage)).collect();
        let mut said = Said { sources, ..Said::default() };
        let events = said.compose("Where do ducks go?", &passages);
        let streamed: String = events
            .iter()
            .filter_map(|event| if let Event::Delta { text } = event { Some(&**text) } else { None })
            .collect();
        assert_eq!(streamed, said.text);
        assert_eq!(said.citations.len(), 2);
        let units: Vec<u16> = said.text.encode_utf16().collect();
        for citation in &said.citations {
            let marker = String::from_utf16(&units[citation.start..citation.end]).unwrap();
            assert_eq!(marker, format!("[{}]", citation.n));
        }
    }
}
