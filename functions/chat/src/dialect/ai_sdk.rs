//! The UI message stream of Vercel's AI SDK, version 1 (`ai` 5, 6 and 7).
//!
//! `ai` 5.0.0 refuses a chunk that has one member more than it knows, so no chunk here has a member that later versions
//! added; what has no place among them is in the metadata of the message and in data parts.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use shared::http::Problem;
use shared::tenancy::{ConversationId, DocumentId, MessageId};

use crate::event::{Citation, Event, FinishReason, Source, Usage};

/// A part of the stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Chunk {
    Start {
        message_id: MessageId,
        message_metadata: Metadata,
    },
    StartStep,
    TextStart {
        id: String,
    },
    TextDelta {
        id: String,
        delta: String,
    },
    TextEnd {
        id: String,
    },
    ToolInputStart {
        tool_call_id: String,
        tool_name: String,
        provider_executed: bool,
    },
    ToolInputAvailable {
        tool_call_id: String,
        tool_name: String,
        input: Value,
        provider_executed: bool,
    },
    ToolOutputAvailable {
        tool_call_id: String,
        output: Output,
        provider_executed: bool,
    },
    ToolOutputError {
        tool_call_id: String,
        error_text: String,
        provider_executed: bool,
    },
    SourceDocument {
        source_id: String,
        media_type: &'static str,
        title: String,
        filename: String,
        provider_metadata: Ours,
    },
    DataCitation {
        id: String,
        data: Citation,
    },
    DataProblem {
        data: Box<Problem>,
    },
    Error {
        error_text: String,
    },
    /// Its user stopped the answer.
    Abort,
    FinishStep,
    Finish {
        message_metadata: Metadata,
    },
}

/// What a message says of itself; the parts come one after the other, and the client unites them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_id: Option<ConversationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<FinishReason>,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Output {
    sources: Vec<Source>,
}

/// The metadata of a provider, as the SDK calls it, under our name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Ours {
    ragline: Place,
}

/// Where a source stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Place {
    n: usize,
    chunk_id: String,
    document_id: DocumentId,
    page: Option<u32>,
}

/// Writes the events of one answer, from its first.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    /// The number of the text part that is open, if one is.
    open: Option<usize>,
    /// Text parts so far.
    texts: usize,
    /// Citations so far.
    citations: usize,
    /// By the model's id of a call, what the client knows it by: ids must differ within a message, and a model may use the
    /// same one in each of its turns.
    calls: HashMap<String, String>,
    /// Calls so far.
    called: usize,
    /// Sources that were sent.
    sources: BTreeSet<usize>,
    /// Whether a call of this step was answered, so that what follows is the next.
    answered: bool,
    usage: Option<Usage>,
}

impl Encoder {
    /// The chunks that tell of an event.
    pub(crate) fn encode(&mut self, event: Event) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        match event {
            Event::Start { message_id, conversation_id, model } => {
                let metadata =
                    Metadata { conversation_id: Some(conversation_id), model: Some(model), ..Metadata::default() };
                chunks.push(Chunk::Start { message_id, message_metadata: metadata });
                chunks.push(Chunk::StartStep);
            }
            Event::ToolCall { id, name, arguments } => {
                self.next_step(&mut chunks);
                self.end_text(&mut chunks);
                self.called += 1;
                let unique = if self.calls.contains_key(&id) { format!("{id}-{}", self.called) } else { id.clone() };
                self.calls.insert(id, unique.clone());
                let (tool_call_id, tool_name, provider_executed) = (unique.clone(), name.clone(), true);
                chunks.push(Chunk::ToolInputStart { tool_call_id, tool_name, provider_executed });
                let (tool_call_id, tool_name, input) = (unique, name, arguments);
                chunks.push(Chunk::ToolInputAvailable { tool_call_id, tool_name, input, provider_executed });
            }
            Event::ToolResult { id, sources, error } => {
                self.answered = true;
                // A client that knows of no such call gives up.
                if let Some(tool_call_id) = self.calls.get(&id).cloned() {
                    chunks.push(output(tool_call_id, sources.clone(), error));
                }
                let new = sources.iter().filter(|source| self.sources.insert(source.n));
                chunks.extend(new.map(document));
            }
            Event::Delta { text } if text.is_empty() => {}
            Event::Delta { text } => {
                self.next_step(&mut chunks);
                let id = self.text(&mut chunks);
                chunks.push(Chunk::TextDelta { id, delta: text });
            }
            Event::Citation(citation) => {
                self.citations += 1;
                chunks.push(Chunk::DataCitation { id: format!("citation-{}", self.citations), data: citation });
            }
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Error(problem) => {
                // Before the error, at which the client stops reading.
                self.end_text(&mut chunks);
                let error_text = problem.detail.clone();
                chunks.push(Chunk::DataProblem { data: problem });
                chunks.push(Chunk::Error { error_text });
            }
            Event::Done { finish_reason, .. } => {
                self.end_text(&mut chunks);
                if finish_reason == FinishReason::Stopped {
                    chunks.push(Chunk::Abort);
                }
                chunks.push(Chunk::FinishStep);
                let usage = self.usage.take();
                let metadata = Metadata { usage, finish_reason: Some(finish_reason), ..Metadata::default() };
                chunks.push(Chunk::Finish { message_metadata: metadata });
            }
        }
        chunks
    }

    /// Goes on to the next step if the calls of this one were answered.
    fn next_step(&mut self, chunks: &mut Vec<Chunk>) {
        if std::mem::take(&mut self.answered) {
            self.end_text(chunks);
            chunks.extend([Chunk::FinishStep, Chunk::StartStep]);
        }
    }

    /// The id of the text part that is open; opens one if none is.
    fn text(&mut self, chunks: &mut Vec<Chunk>) -> String {
        let open = self.open.unwrap_or_else(|| {
            self.texts += 1;
            chunks.push(Chunk::TextStart { id: text_id(self.texts) });
            self.texts
        });
        self.open = Some(open);
        text_id(open)
    }

    fn end_text(&mut self, chunks: &mut Vec<Chunk>) {
        if let Some(open) = self.open.take() {
            chunks.push(Chunk::TextEnd { id: text_id(open) });
        }
    }
}

fn text_id(number: usize) -> String {
    format!("text-{number}")
}

fn output(tool_call_id: String, sources: Vec<Source>, error: Option<String>) -> Chunk {
    match error {
        Some(error_text) => Chunk::ToolOutputError { tool_call_id, error_text, provider_executed: true },
        None => Chunk::ToolOutputAvailable { tool_call_id, output: Output { sources }, provider_executed: true },
    }
}

fn document(source: &Source) -> Chunk {
    let (n, chunk_id, document_id, page) = (source.n, source.chunk_id.clone(), source.document_id, source.page);
    Chunk::SourceDocument {
        source_id: source.chunk_id.clone(),
        media_type: media_type(&source.filename),
        title: source.filename.clone(),
        filename: source.filename.clone(),
        provider_metadata: Ours { ragline: Place { n, chunk_id, document_id, page } },
    }
}

/// The media type of a file by its name, for the icon that a client shows.
fn media_type(filename: &str) -> &'static str {
    let extension = Path::new(filename).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "csv" => "text/csv",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "eml" => "message/rfc822",
        "htm" | "html" => "text/html",
        "markdown" | "md" => "text/markdown",
        "pdf" => "application/pdf",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "txt" => "text/plain",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dialect::sample;

    fn encoded(events: Vec<Event>) -> Vec<Value> {
        let mut encoder = Encoder::default();
        let chunks = events.into_iter().flat_map(|event| encoder.encode(event));
        chunks.map(|chunk| serde_json::to_value(chunk).unwrap()).collect()
    }

    fn start() -> Value {
        let metadata = json!({ "conversation_id": sample::CONVERSATION, "model": "scripted" });
        json!({ "type": "start", "messageId": sample::MESSAGE, "messageMetadata": metadata })
    }

    fn call(id: &str, name: &str, input: &Value) -> [Value; 2] {
        [
            json!({ "type": "tool-input-start", "toolCallId": id, "toolName": name, "providerExecuted": true }),
            json!({ "type": "tool-input-available", "toolCallId": id, "toolName": name, "input": input,
                "providerExecuted": true }),
        ]
    }

    fn output(id: &str, sources: &[usize]) -> Value {
        let sources: Vec<_> = sources.iter().map(|n| sample::source(*n)).collect();
        json!({ "type": "tool-output-available", "toolCallId": id, "output": { "sources": sources },
            "providerExecuted": true })
    }

    fn document(n: usize, media_type: &str) -> Value {
        let source = sample::source(n);
        let place = json!({ "n": n, "chunk_id": source["chunk_id"], "document_id": source["document_id"],
            "page": source["page"] });
        json!({ "type": "source-document", "sourceId": source["chunk_id"], "mediaType": media_type,
            "title": source["filename"], "filename": source["filename"], "providerMetadata": { "ragline": place } })
    }

    fn text(id: &str, delta: &str) -> Value {
        json!({ "type": "text-delta", "id": id, "delta": delta })
    }

    fn citation(number: usize, n: usize, start: usize) -> Value {
        let source = sample::source(n);
        let data = json!({ "n": n, "chunk_id": source["chunk_id"], "document_id": source["document_id"],
            "filename": source["filename"], "start": start, "end": start + 3 });
        json!({ "type": "data-citation", "id": format!("citation-{number}"), "data": data })
    }

    #[test]
    fn an_answer_becomes_steps_with_calls_sources_and_text() {
        let step = || [json!({ "type": "finish-step" }), json!({ "type": "start-step" })];
        let failed = json!({ "type": "tool-output-error", "toolCallId": "other",
            "errorText": "There is no such document.", "providerExecuted": true });
        let metadata = json!({ "usage": { "input_tokens": 12, "output_tokens": 7 }, "finish_reason": "stop" });
        let expected: Vec<Value> = [start(), json!({ "type": "start-step" })]
            .into_iter()
            .chain([json!({ "type": "text-start", "id": "text-1" }), text("text-1", "Let me look. ")])
            .chain([json!({ "type": "text-end", "id": "text-1" })])
            .chain(call("call", "search", &json!({ "query": "ducks" })))
            .chain([output("call", &[1, 2]), document(1, "application/pdf"), document(2, "application/octet-stream")])
            .chain(step())
            .chain(call("call-2", "search", &json!({ "query": "pumps" })))
            .chain(call("other", "read_document", &json!({})))
            .chain([output("call-2", &[2]), failed])
            .chain(step())
            .chain([json!({ "type": "text-start", "id": "text-2" }), text("text-2", "🦆 swim [1]"), citation(1, 1, 21)])
            .chain([text("text-2", " and pump [2]"), citation(2, 2, 34)])
            .chain([json!({ "type": "text-end", "id": "text-2" }), json!({ "type": "finish-step" })])
            .chain([json!({ "type": "finish", "messageMetadata": metadata })])
            .collect();
        assert_eq!(encoded(sample::answer()), expected);
    }

    #[test]
    fn an_error_comes_behind_what_is_to_be_read_of_it() {
        let kinds: Vec<_> = encoded(sample::failure()).iter().map(|chunk| chunk["type"].clone()).collect();
        assert_eq!(
            kinds,
            [
                "start",
                "start-step",
                "text-start",
                "text-delta",
                "text-end",
                "data-problem",
                "error",
                "finish-step",
                "finish"
            ]
        );
        let chunks = encoded(sample::failure());
        assert_eq!(chunks[5]["data"]["code"], "model_broken");
        assert_eq!(chunks[6], json!({ "type": "error", "errorText": "The language model broke off." }));
        assert_eq!(chunks[8]["messageMetadata"], json!({ "finish_reason": "error" }));
    }

    #[test]
    fn what_was_stopped_says_so() {
        let chunks = encoded(sample::stopped());
        let end = json!({ "type": "finish", "messageMetadata": { "finish_reason": "stopped" } });
        assert_eq!(
            chunks[4..],
            [
                json!({ "type": "text-end", "id": "text-1" }),
                json!({ "type": "abort" }),
                json!({ "type": "finish-step" }),
                end
            ]
        );
    }
}
