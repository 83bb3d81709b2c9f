use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use shared::error::{Error, FieldError};
use shared::retrieval::Filter;
use utoipa::ToSchema;

use crate::conversations::Author;
use crate::run::{MAX_MESSAGE, Question};

/// The longest that an application may tell the model, in characters.
const MAX_INSTRUCTIONS: usize = 16_000;

/// What changes how a model writes, or what is kept of it elsewhere. It is taken, and has no effect here.
const WITHOUT_EFFECT: [&str; 24] = [
    "frequency_penalty",
    "logit_bias",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "min_p",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "repetition_penalty",
    "safety_identifier",
    "seed",
    "service_tier",
    "store",
    "temperature",
    "tool_choice",
    "top_k",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
];

/// Whether a value asks for nothing.
type AsksNothing = fn(&Value) -> bool;

/// What would change what an answer is. Only the value that asks for nothing is taken.
const UNSUPPORTED: [(&str, AsksNothing, &str); 10] = [
    ("audio", Value::is_null, "answers are text"),
    ("function_call", |value| value == "none" || value == "auto", "functions of the client are not called"),
    ("functions", is_empty, "functions of the client are not called"),
    ("logprobs", |value| value == false, "there are no probabilities"),
    ("modalities", |value| value.as_array().is_some_and(|all| all.iter().all(|one| one == "text")), "answers are text"),
    ("n", |value| value == 1, "there is one answer"),
    ("response_format", |value| value["type"] == "text", "answers are text with citations"),
    ("stop", is_empty, "an answer ends where it ends"),
    ("tools", is_empty, "tools of the client are not called"),
    ("web_search_options", Value::is_null, "answers are made of the documents"),
];

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

/// A conversation whose last message is the question.
#[derive(Deserialize, ToSchema)]
#[schema(
    as = ChatCompletionRequest,
    example = json!({ "model": "ragline", "messages": [{ "role": "user", "content": "What do ducks eat?" }] })
)]
pub(crate) struct Request {
    /// `ragline` for all collections, or `ragline/` and the id of one.
    pub(super) model: String,
    #[schema(min_items = 1)]
    messages: Vec<Message>,
    /// Whether the answer is to come as it is made.
    #[serde(default)]
    pub(super) stream: Option<bool>,
    #[serde(default)]
    pub(super) stream_options: Option<StreamOptions>,
    /// Only documents whose metadata passes. OpenAI's API has no such parameter; its clients send it as a further one.
    #[serde(default)]
    #[schema(value_type = Option<Filter>)]
    pub(super) filters: Option<Value>,
    /// Further parameters of OpenAI's API. Those of sampling have no effect; those that would make an answer something else,
    /// such as `tools`, are refused.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    further: BTreeMap<String, Value>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ChatCompletionStreamOptions)]
pub(crate) struct StreamOptions {
    /// Whether the stream ends with what the answer took.
    #[serde(default)]
    pub(super) include_usage: Option<bool>,
}

/// What was said. Further members, which clients copy from answers, are not looked at.
#[derive(Deserialize, ToSchema)]
#[schema(as = ChatCompletionRequestMessage)]
struct Message {
    /// `system`, `developer`, `user` or `assistant`
    role: String,
    content: Option<Content>,
}

#[derive(Deserialize, ToSchema)]
#[serde(untagged, expecting = "must be text, or a list of parts with text")]
#[schema(as = ChatCompletionRequestContent)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ChatCompletionRequestPart)]
struct Part {
    /// `text`
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

impl Request {
    /// The question with what was said before it. What cannot be asked here is refused by name.
    pub(super) fn question(self) -> Result<Question, Error> {
        let faults: Vec<_> = self.further.iter().filter_map(|(name, value)| fault(name, value)).collect();
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let last = self.messages.len().checked_sub(1).ok_or_else(|| Error::field("/messages", "there is none"))?;
        let (mut history, mut instructions) = (Vec::new(), Vec::new());
        for (place, message) in self.messages.into_iter().enumerate() {
            let role = format!("/messages/{place}/role");
            match message.role.as_str() {
                "system" | "developer" if place < last => instructions.push(message.text(place)?),
                "user" => history.push((Author::User, message.text(place)?)),
                "assistant" if place < last => history.push((Author::Assistant, message.text(place)?)),
                "system" | "developer" | "assistant" => {
                    return Err(Error::field(role, "the last message must be of the role user"));
                }
                _ => return Err(Error::field(role, "must be system, developer, user or assistant")),
            }
        }
        let Some((Author::User, text)) = history.pop() else { return Err(Error::internal("no question was found")) };
        if text.trim().is_empty() || text.chars().count() > MAX_MESSAGE {
            let rule = format!("must have 1 to {MAX_MESSAGE} characters");
            return Err(Error::field(format!("/messages/{last}/content"), rule));
        }
        let instructions = instructions.join("\n\n");
        if instructions.chars().count() > MAX_INSTRUCTIONS {
            let rule = format!("the messages of system and developer may have {MAX_INSTRUCTIONS} characters");
            return Err(Error::field("/messages", rule));
        }
        let instructions = Some(instructions).filter(|text| !text.trim().is_empty());
        Ok(Question::Stateless { history, text, instructions })
    }
}

impl Message {
    /// Its words; an assistant's message that only called tools has none.
    fn text(self, place: usize) -> Result<String, Error> {
        match self.content {
            None if self.role == "assistant" => Ok(String::new()),
            None => Err(Error::field(format!("/messages/{place}/content"), "is missing")),
            Some(Content::Text(text)) => Ok(text),
            Some(Content::Parts(parts)) => {
                let text = |(index, part): (usize, Part)| match part {
                    Part { kind, text: Some(text) } if kind == "text" => Ok(text),
                    _ => Err(Error::field(format!("/messages/{place}/content/{index}/type"), "only text can be read")),
                };
                Ok(parts.into_iter().enumerate().map(text).collect::<Result<Vec<_>, _>>()?.join("\n"))
            }
        }
    }
}

/// What is wrong with a parameter.
fn fault(name: &str, value: &Value) -> Option<FieldError> {
    if WITHOUT_EFFECT.contains(&name) {
        return None;
    }
    let pointer = format!("/{name}");
    match UNSUPPORTED.iter().find(|(unsupported, ..)| *unsupported == name) {
        Some((_, is_harmless, _)) if value.is_null() || is_harmless(value) => None,
        Some((.., reason)) => Some(FieldError::new(pointer, format!("is not supported: {reason}"))),
        None => Some(FieldError::new(pointer, "there is no such parameter")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn question(request: Value) -> Result<Question, Vec<FieldError>> {
        let request: Request = serde_json::from_value(request).unwrap();
        request.question().map_err(|error| match error {
            Error::Invalid(faults) => faults,
            other => panic!("{other}"),
        })
    }

    fn refused(request: Value) -> Vec<String> {
        question(request).unwrap_err().into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn a_conversation_is_read_with_its_question_and_what_the_application_says() {
        let asked = question(json!({
            "model": "ragline", "temperature": 0.2, "max_tokens": 100, "tools": [], "n": 1, "stop": null,
            "messages": [
                { "role": "system", "content": "Be brief." },
                { "role": "user", "content": "What are ducks?", "name": "ada" },
                { "role": "assistant", "content": "Birds.", "refusal": null, "annotations": [] },
                { "role": "developer", "content": [{ "type": "text", "text": "Say please." }] },
                { "role": "user", "content": [{ "type": "text", "text": "What do" }, { "type": "text", "text": "they eat?" }] },
            ],
        }));
        let Ok(Question::Stateless { history, text, instructions }) = asked else { panic!("{asked:?}") };
        assert_eq!(text, "What do\nthey eat?");
        let before = [(Author::User, "What are ducks?".to_owned()), (Author::Assistant, "Birds.".to_owned())];
        assert_eq!(history, before);
        assert_eq!(instructions.as_deref(), Some("Be brief.\n\nSay please."));
    }

    #[test]
    fn what_would_make_an_answer_something_else_is_refused_by_name() {
        let ask = |further: Value| {
            let mut request = json!({ "model": "ragline", "messages": [{ "role": "user", "content": "Ducks?" }] });
            request.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
            refused(request)
        };
        assert_eq!(ask(json!({ "tools": [{ "type": "function" }] })), ["/tools"]);
        assert_eq!(ask(json!({ "n": 2, "stop": ["END"] })), ["/n", "/stop"]);
        assert_eq!(ask(json!({ "response_format": { "type": "json_object" } })), ["/response_format"]);
        assert_eq!(ask(json!({ "tempreature": 1 })), ["/tempreature"]);
    }

    #[test]
    fn a_message_that_cannot_be_read_is_named() {
        let ask = |messages: Value| refused(json!({ "model": "ragline", "messages": messages }));
        let image = json!({ "type": "image_url", "image_url": { "url": "https://example.com/" } });
        let words = json!({ "type": "text", "text": "What is this?" });
        assert_eq!(ask(json!([])), ["/messages"]);
        assert_eq!(ask(json!([{ "role": "user", "content": [words, image] }])), ["/messages/0/content/1/type"]);
        assert_eq!(ask(json!([{ "role": "user", "content": " " }])), ["/messages/0/content"]);
        assert_eq!(ask(json!([{ "role": "user", "content": null }])), ["/messages/0/content"]);
        let tool = json!({ "role": "tool", "tool_call_id": "1", "content": "x" });
        assert_eq!(ask(json!([tool, { "role": "user", "content": "?" }])), ["/messages/0/role"]);
        assert_eq!(
            ask(json!([{ "role": "user", "content": "?" }, { "role": "assistant", "content": "!" }])),
            ["/messages/1/role"]
        );
    }
}
