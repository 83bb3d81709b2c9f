//! Chat completions as OpenAI's API has them, in chunks and whole.
//!
//! Calls of tools stay inside: a client would take them for its own to run.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use serde::Serialize;
use shared::http::Problem;
use shared::tenancy::DocumentId;
use url::Url;
use utoipa::ToSchema;

use crate::event::{Citation, Event, FinishReason, Usage};

/// Where the original of a document can be fetched without a token, and what the document is called.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) title: String,
    pub(crate) url: Url,
}

/// Writes the events of one answer, from its first.
#[derive(Debug)]
pub(crate) struct Encoder {
    head: Head,
    /// Whether the client wants a chunk with the usage at the end.
    include_usage: bool,
    /// By the number of a source, the page it is on.
    pages: HashMap<usize, u32>,
    citations: Vec<Citation>,
    annotations: Vec<Annotation>,
    text: String,
    usage: Usage,
    finish_reason: Option<Reason>,
}

/// What all chunks of an answer begin with.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ChatCompletionHead)]
struct Head {
    id: String,
    /// In seconds since 1970.
    created: u64,
    /// As the client named it.
    model: String,
}

impl Encoder {
    /// For a client that asked for this model.
    pub(crate) fn new(model: String, include_usage: bool) -> Self {
        Self {
            head: Head { id: String::new(), created: 0, model },
            include_usage,
            pages: HashMap::new(),
            citations: Vec::new(),
            annotations: Vec::new(),
            text: String::new(),
            usage: Usage::default(),
            finish_reason: None,
        }
    }

    /// The documents that were cited so far.
    pub(crate) fn cited(&self) -> impl Iterator<Item = DocumentId> {
        self.citations.iter().map(|citation| citation.document_id)
    }

    /// Makes annotations of what was cited so far; what has no link gets none. The clients can add up text from many chunks but
    /// annotations from one only, so this comes before the last event and not before.
    pub(crate) fn annotate(&mut self, links: &HashMap<DocumentId, Link>) {
        let annotation = |citation: &Citation| {
            let Link { title, url } = links.get(&citation.document_id)?.clone();
            Some(Annotation::new(citation, title, url, self.pages.get(&citation.n).copied()))
        };
        self.annotations = self.citations.iter().filter_map(annotation).collect();
    }

    /// The chunks that tell of an event.
    pub(crate) fn encode(&mut self, event: Event) -> Vec<Chunk> {
        match event {
            Event::Delta { text } => vec![self.chunk(Delta { content: Some(text), ..Delta::default() }, None)],
            Event::Error(problem) => vec![Chunk::Error { error: ErrorBody::of(&problem) }],
            Event::Start { .. } => {
                self.take(event);
                let (role, content) = (Some(Role::Assistant), Some(String::new()));
                vec![self.chunk(Delta { role, content, ..Delta::default() }, None)]
            }
            Event::Done { .. } => {
                self.take(event);
                self.last_chunks()
            }
            Event::ToolCall { .. } | Event::ToolResult { .. } | Event::Citation(_) | Event::Usage(_) => {
                self.take(event);
                Vec::new()
            }
        }
    }

    /// Keeps what a later chunk, or the whole, is made of.
    pub(crate) fn take(&mut self, event: Event) {
        match event {
            Event::Start { message_id, .. } => {
                self.head.id = format!("chatcmpl-{message_id}");
                let age = message_id.made_at().duration_since(UNIX_EPOCH);
                self.head.created = age.map_or(0, |age| age.as_secs());
            }
            Event::ToolResult { sources, .. } => {
                self.pages.extend(sources.iter().filter_map(|source| Some((source.n, source.page?))));
            }
            Event::Delta { text } => self.text.push_str(&text),
            Event::Citation(citation) => self.citations.push(citation),
            Event::Usage(usage) => self.usage = usage,
            Event::Done { finish_reason, .. } => self.finish_reason = Reason::of(finish_reason),
            Event::ToolCall { .. } | Event::Error(_) => {}
        }
    }

    /// The answer in one piece, once all of it was taken.
    pub(crate) fn whole(self) -> Completion {
        let message = Message { role: Role::Assistant, content: self.text, refusal: (), annotations: self.annotations };
        let choice = WholeChoice { index: 0, message, logprobs: (), finish_reason: self.finish_reason };
        Completion { head: self.head, object: "chat.completion", choices: [choice], usage: self.usage.into() }
    }

    fn chunk(&self, delta: Delta, finish_reason: Option<Reason>) -> Chunk {
        self.part(vec![Choice { index: 0, delta, logprobs: (), finish_reason }], None)
    }

    fn part(&self, choices: Vec<Choice>, usage: Option<TokenUsage>) -> Chunk {
        let usage = match usage {
            _ if !self.include_usage => Shown::LeftOut,
            None => Shown::NotYet,
            Some(usage) => Shown::Known(usage),
        };
        Chunk::Part(Part { head: self.head.clone(), object: "chat.completion.chunk", choices, usage })
    }

    /// The annotations, the end, and what it took; nothing after an error, which was the end.
    fn last_chunks(&mut self) -> Vec<Chunk> {
        let Some(reason) = self.finish_reason else { return Vec::new() };
        let mut chunks = Vec::new();
        let annotations = std::mem::take(&mut self.annotations);
        if !annotations.is_empty() {
            chunks.push(self.chunk(Delta { annotations, ..Delta::default() }, None));
        }
        chunks.push(self.chunk(Delta::default(), Some(reason)));
        if self.include_usage {
            chunks.push(self.part(Vec::new(), Some(self.usage.into())));
        }
        chunks
    }
}

/// What stands in a frame of the stream.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Chunk {
    Part(Part),
    /// The clients raise it, and read no further.
    Error {
        error: ErrorBody,
    },
}

#[derive(Debug, Serialize)]
pub(crate) struct Part {
    #[serde(flatten)]
    head: Head,
    object: &'static str,
    choices: Vec<Choice>,
    #[serde(skip_serializing_if = "Shown::is_left_out")]
    usage: Shown,
}

/// The usage of a chunk: where it is wanted every chunk has the member, though all but the last hold `null`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Shown {
    LeftOut,
    NotYet,
    Known(TokenUsage),
}

impl Shown {
    fn is_left_out(&self) -> bool {
        matches!(self, Self::LeftOut)
    }
}

#[derive(Debug, Serialize)]
struct Choice {
    index: u32,
    delta: Delta,
    logprobs: (),
    finish_reason: Option<Reason>,
}

/// What a chunk adds to the message.
#[derive(Debug, Default, Serialize)]
struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Annotation>,
}

/// An answer in one piece.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChatCompletion)]
pub(crate) struct Completion {
    #[serde(flatten)]
    head: Head,
    /// `chat.completion`
    object: &'static str,
    choices: [WholeChoice; 1],
    usage: TokenUsage,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChatCompletionChoice)]
struct WholeChoice {
    index: u32,
    message: Message,
    #[schema(value_type = Option<Object>, required)]
    logprobs: (),
    #[schema(required)]
    finish_reason: Option<Reason>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChatCompletionMessage)]
struct Message {
    role: Role,
    content: String,
    #[schema(value_type = Option<String>, required)]
    refusal: (),
    annotations: Vec<Annotation>,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ChatCompletionRole)]
enum Role {
    Assistant,
}

/// Why a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ChatCompletionFinishReason)]
enum Reason {
    Stop,
    Length,
}

impl Reason {
    /// In OpenAI's words; none for an error, which is told otherwise.
    fn of(reason: FinishReason) -> Option<Self> {
        match reason {
            FinishReason::Stop | FinishReason::Stopped => Some(Self::Stop),
            FinishReason::Length | FinishReason::Budget => Some(Self::Length),
            FinishReason::Error => None,
        }
    }
}

/// A marker in the text, with where the original of its document is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ChatCompletionAnnotation)]
struct Annotation {
    /// `url_citation`
    #[serde(rename = "type")]
    kind: &'static str,
    url_citation: UrlCitation,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct UrlCitation {
    /// The first place of the marker, in UTF-16 code units.
    start_index: usize,
    /// One behind its last place.
    end_index: usize,
    /// Good for some minutes.
    url: String,
    /// The name of the document.
    title: String,
}

impl Annotation {
    fn new(citation: &Citation, title: String, mut url: Url, page: Option<u32>) -> Self {
        if let Some(page) = page {
            url.set_fragment(Some(&format!("page={page}")));
        }
        let (start_index, end_index) = (citation.start, citation.end);
        Self { kind: "url_citation", url_citation: UrlCitation { start_index, end_index, url: url.into(), title } }
    }
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = ChatCompletionUsage)]
#[expect(clippy::struct_field_names, reason = "they are OpenAI's names")]
struct TokenUsage {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
}

impl From<Usage> for TokenUsage {
    fn from(Usage { input_tokens, output_tokens }: Usage) -> Self {
        Self {
            prompt_tokens: input_tokens,
            completion_tokens: output_tokens,
            total_tokens: input_tokens + output_tokens,
        }
    }
}

/// A problem in OpenAI's words.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OpenaiErrorBody)]
pub(crate) struct ErrorBody {
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// The part of the request that is wrong, as in `messages[0].content`.
    param: Option<String>,
    code: String,
}

impl ErrorBody {
    /// The problem as its clients understand it.
    pub(crate) fn of(problem: &Problem) -> Self {
        let kind = match problem.status {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        let param = problem.errors.first().map(|error| parameter(&error.pointer));
        Self { message: problem.detail.clone(), kind, param, code: problem.code.clone().into_owned() }
    }

    /// What OpenAI's API says of a model that it does not know.
    pub(crate) fn no_such_model(model: &str) -> Self {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        let code = "model_not_found".to_owned();
        Self { message, kind: "invalid_request_error", param: Some("model".to_owned()), code }
    }
}

/// A JSON pointer as a path: `/messages/0/content` as `messages[0].content`.
fn parameter(pointer: &str) -> String {
    let mut path = String::new();
    for step in pointer.split('/').filter(|step| !step.is_empty()) {
        if step.bytes().all(|byte| byte.is_ascii_digit()) {
            let _ = write!(path, "[{step}]");
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(step);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect::sample;

    /// One document has a link, as if the other had been deleted meanwhile.
    fn links() -> HashMap<DocumentId, Link> {
        let url = "https://files.example/ducks?signature=x".parse().unwrap();
        HashMap::from([(sample::DOCUMENT.parse().unwrap(), Link { title: "Ducks.PDF".to_owned(), url })])
    }

    fn encoded(events: Vec<Event>, include_usage: bool) -> Vec<Value> {
        let mut encoder = Encoder::new("ragline/birds".to_owned(), include_usage);
        let mut chunks = Vec::new();
        for event in events {
            if matches!(event, Event::Done { .. }) {
                encoder.annotate(&links());
            }
            chunks.extend(encoder.encode(event));
        }
        chunks.iter().map(|chunk| serde_json::to_value(chunk).unwrap()).collect()
    }

    fn annotations() -> Value {
        json!([{ "type": "url_citation", "url_citation": {
            "start_index": 21, "end_index": 24, "title": "Ducks.PDF",
            "url": "https://files.example/ducks?signature=x#page=3",
        } }])
    }

    #[test]
    fn an_answer_becomes_chunks_with_its_annotations_in_one() {
        let part = |choices: Value, usage: Value| {
            json!({ "id": format!("chatcmpl-{}", sample::MESSAGE), "created": sample::CREATED, "model": "ragline/birds",
                "object": "chat.completion.chunk", "choices": choices, "usage": usage })
        };
        let chunk = |delta: Value, reason: Value| {
            let choice = json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": reason });
            part(json!([choice]), Value::Null)
        };
        let mut expected = vec![
            chunk(json!({ "role": "assistant", "content": "" }), Value::Null),
            chunk(json!({ "content": "Let me look. " }), Value::Null),
            chunk(json!({ "content": "🦆 swim [1]" }), Value::Null),
            chunk(json!({ "content": " and pump [2]" }), Value::Null),
            chunk(json!({ "annotations": annotations() }), Value::Null),
            chunk(json!({}), json!("stop")),
        ];
        let usage = json!({ "prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19 });
        expected.push(part(json!([]), usage));
        assert_eq!(encoded(sample::answer(), true), expected);

        expected.pop();
        for chunk in &mut expected {
            chunk.as_object_mut().unwrap().remove("usage");
        }
        assert_eq!(encoded(sample::answer(), false), expected);
    }

    #[test]
    fn an_answer_is_one_completion() {
        let mut encoder = Encoder::new("ragline".to_owned(), false);
        for event in sample::answer() {
            encoder.take(event);
        }
        encoder.annotate(&links());
        let expected = json!({
            "id": format!("chatcmpl-{}", sample::MESSAGE), "created": sample::CREATED, "model": "ragline",
            "object": "chat.completion",
            "choices": [{ "index": 0, "logprobs": null, "finish_reason": "stop", "message": {
                "role": "assistant", "content": "Let me look. 🦆 swim [1] and pump [2]", "refusal": null,
                "annotations": annotations(),
            } }],
            "usage": { "prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19 },
        });
        assert_eq!(serde_json::to_value(encoder.whole()).unwrap(), expected);
    }

    #[test]
    fn an_error_is_the_end_of_the_chunks() {
        let chunks = encoded(sample::failure(), true);
        let error = json!({ "error": {
            "message": "The language model broke off.", "type": "server_error", "param": null, "code": "model_broken",
        } });
        assert_eq!(chunks.last(), Some(&error));
        assert_eq!(chunks.len(), 3);
    }

    #[test]
    fn each_end_has_its_word() {
        let reason = |reason| Reason::of(reason);
        assert_eq!(reason(FinishReason::Stopped), Some(Reason::Stop));
        assert_eq!(reason(FinishReason::Budget), Some(Reason::Length));
        assert_eq!(reason(FinishReason::Length), Some(Reason::Length));
    }

    #[test]
    fn a_pointer_is_written_as_a_path() {
        assert_eq!(parameter("/messages/0/content/2/text"), "messages[0].content[2].text");
        assert_eq!(parameter("/"), "");
        assert_eq!(parameter("limit"), "limit");
    }
}
