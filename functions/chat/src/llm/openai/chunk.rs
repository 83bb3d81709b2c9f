use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use shared::error::ModelFault;
use shared::tenancy::MessageId;

use super::fault;
use crate::event::Usage;
use crate::llm::{Call, Ending, LlmError, Piece};

/// A turn as its chunks make it.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    calls: Vec<Partial>,
    usage: Option<Usage>,
    ending: Option<Ending>,
    begun: bool,
}

/// A call of which parts have come.
#[derive(Debug)]
struct Partial {
    index: Option<u64>,
    id: Option<String>,
    name: String,
    arguments: String,
}

#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<Counted>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
    /// What OpenAI's models say when they decline.
    refusal: Option<String>,
    /// What reasoning models say to themselves: a sign of life, and nothing for the answer.
    #[serde(alias = "reasoning")]
    reasoning_content: Option<IgnoredAny>,
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Deserialize)]
struct CallDelta {
    index: Option<u64>,
    id: Option<String>,
    function: Option<FunctionDelta>,
}

#[derive(Deserialize)]
struct FunctionDelta {
    name: Option<String>,
    /// Text in parts; some servers send the whole as an object.
    arguments: Option<Value>,
}

#[derive(Deserialize)]
struct Counted {
    #[serde(default)]
    prompt_tokens: usize,
    #[serde(default)]
    completion_tokens: usize,
}

impl Chunks {
    /// Takes a chunk in, and returns the words in it.
    pub(super) fn read(&mut self, data: &str) -> Result<Option<String>, LlmError> {
        // The error of the parser quotes nothing but the place.
        let chunk: Chunk = serde_json::from_str(data).map_err(|error| {
            let place = (error.line(), error.column());
            LlmError::new(ModelFault::Broken, format!("a chunk is malformed at {place:?}"))
        })?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(fault::in_stream(&error));
        }
        if let Some(usage) = chunk.usage {
            self.usage = Some(Usage { input_tokens: usage.prompt_tokens, output_tokens: usage.completion_tokens });
        }
        let Some(choice) = chunk.choices.and_then(|choices| choices.into_iter().next()) else { return Ok(None) };
        let text = choice.delta.and_then(|delta| self.take(delta));
        if let Some(reason) = choice.finish_reason {
            self.ending = Some(match reason.as_str() {
                "length" => Ending::Length,
                "content_filter" => Ending::Filtered,
                // Not all servers say `tool_calls`.
                _ if !self.calls.is_empty() => Ending::Calls,
                _ => Ending::Stop,
            });
        }
        Ok(text)
    }

    /// Whether the model began to say something.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// Whether nothing but the usage is missing.
    pub(super) fn complete(&self) -> bool {
        self.ending.is_some()
    }

    /// What there is besides the words.
    pub(super) fn end(self) -> Result<Vec<Piece>, LlmError> {
        let ending =
            self.ending.ok_or_else(|| LlmError::new(ModelFault::Broken, "the stream ended before the turn"))?;
        // A turn that was cut short may have been cut short within a call.
        let calls = if ending == Ending::Calls { self.calls } else { Vec::new() };
        let calls = calls.into_iter().map(|call| Piece::Call(call.whole()));
        Ok(calls.chain(self.usage.map(Piece::Usage)).chain([Piece::End(ending)]).collect())
    }

    fn take(&mut self, delta: Delta) -> Option<String> {
        let text = delta.content.filter(|text| !text.is_empty()).or(delta.refusal).filter(|text| !text.is_empty());
        let calls = delta.tool_calls.unwrap_or_default();
        self.begun |= text.is_some() || !calls.is_empty() || delta.reasoning_content.is_some();
        for call in calls {
            self.part(call);
        }
        text
    }

    fn part(&mut self, part: CallDelta) {
        let id = part.id.filter(|id| !id.is_empty());
        // Parts are told apart by their index; a server that leaves it out, or sends all calls with the same, by their id.
        let at = self
            .calls
            .iter_mut()
            .rposition(|call| call.index == part.index && (id.is_none() || call.id == id))
            .unwrap_or(self.calls.len());
        if at == self.calls.len() {
            self.calls.push(Partial { index: part.index, id, name: String::new(), arguments: String::new() });
        }
        let at = &mut self.calls[at];
        let Some(function) = part.function else { return };
        at.name.push_str(function.name.as_deref().unwrap_or_default());
        match function.arguments {
            Some(Value::String(text)) => at.arguments.push_str(&text),
            None | Some(Value::Null) => {}
            Some(whole) => at.arguments = whole.to_string(),
        }
    }
}

impl Partial {
    fn whole(self) -> Call {
        Call {
            // The outcome must name it, whether the server does or not.
            id: self.id.unwrap_or_else(|| format!("call_{}", MessageId::new())),
            name: self.name,
            arguments: if self.arguments.is_empty() { "{}".to_owned() } else { self.arguments },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The words, and the rest.
    fn read(chunks: &[Value]) -> Result<(String, Vec<Piece>), LlmError> {
        let (mut state, mut text) = (Chunks::default(), String::new());
        for chunk in chunks {
            text.extend(state.read(&chunk.to_string())?);
        }
        Ok((text, state.end()?))
    }

    #[expect(clippy::needless_pass_by_value, reason = "tests read better with values")]
    fn delta(delta: Value) -> Value {
        json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": null }], "usage": null })
    }

    fn finish(reason: &str) -> Value {
        json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
    }

    #[expect(clippy::needless_pass_by_value, reason = "tests read better with values")]
    fn part(index: Option<u64>, id: Option<&str>, name: Option<&str>, arguments: Value) -> Value {
        let function = json!({ "name": name, "arguments": arguments });
        delta(json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": function }] }))
    }

    fn calls(pieces: &[Piece]) -> Vec<(&str, &str, &str)> {
        let calls = pieces.iter().filter_map(|piece| if let Piece::Call(call) = piece { Some(call) } else { None });
        calls.map(|call| (call.id.as_str(), call.name.as_str(), call.arguments.as_str())).collect()
    }

    #[test]
    fn words_come_as_they_are_and_the_usage_at_the_end() {
        let usage =
            json!({ "choices": [], "usage": { "prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9 } });
        let role = delta(json!({ "role": "assistant", "content": "" }));
        let chunks =
            [role, delta(json!({ "content": "Ducks" })), delta(json!({ "content": " fly." })), finish("stop"), usage];
        let usage = Usage { input_tokens: 7, output_tokens: 2 };
        let expected = ("Ducks fly.".to_owned(), vec![Piece::Usage(usage), Piece::End(Ending::Stop)]);
        assert_eq!(read(&chunks).unwrap(), expected);
    }

    #[test]
    fn the_parts_of_several_calls_are_put_together() {
        let chunks = [
            part(Some(0), Some("a"), Some("search"), json!("")),
            part(Some(0), None, None, json!("{\"query\":")),
            part(Some(1), Some("b"), Some("list_documents"), json!("{}")),
            part(Some(0), None, None, json!("\"ducks\"}")),
            finish("tool_calls"),
        ];
        let (_, pieces) = read(&chunks).unwrap();
        assert_eq!(calls(&pieces), [("a", "search", "{\"query\":\"ducks\"}"), ("b", "list_documents", "{}")]);
        assert_eq!(pieces.last(), Some(&Piece::End(Ending::Calls)));
    }

    #[test]
    fn servers_that_keep_less_to_the_protocol_are_understood() {
        for index in [Some(0), None] {
            let chunks = [
                part(index, Some("a"), Some("search"), json!({ "query": "ducks" })),
                part(index, Some("b"), Some("list_documents"), Value::Null),
                finish("stop"),
            ];
            let (_, pieces) = read(&chunks).unwrap();
            assert_eq!(calls(&pieces), [("a", "search", "{\"query\":\"ducks\"}"), ("b", "list_documents", "{}")]);
            assert_eq!(pieces.last(), Some(&Piece::End(Ending::Calls)));
        }
        let (_, pieces) = read(&[part(Some(0), None, Some("search"), json!("{}")), finish("tool_calls")]).unwrap();
        assert!(calls(&pieces)[0].0.starts_with("call_"));
    }

    #[test]
    fn a_call_that_was_cut_short_is_none() {
        let (_, pieces) = read(&[part(Some(0), Some("a"), Some("search"), json!("{\"que")), finish("length")]).unwrap();
        assert_eq!(pieces, [Piece::End(Ending::Length)]);
    }

    #[test]
    fn thoughts_are_a_beginning_and_no_words() {
        let mut chunks = Chunks::default();
        assert_eq!(chunks.read(&delta(json!({ "role": "assistant", "content": "" })).to_string()).unwrap(), None);
        assert!(!chunks.begun());
        assert_eq!(chunks.read(&delta(json!({ "reasoning_content": "Hm." })).to_string()).unwrap(), None);
        assert!(chunks.begun());
    }

    #[test]
    fn what_is_no_turn_is_a_fault() {
        assert_eq!(read(&[delta(json!({ "content": "Ducks" }))]).unwrap_err().fault, ModelFault::Broken);
        let mut chunks = Chunks::default();
        let error = chunks.read("{\"choices\": [{\"delta\": {\"content\": \"secret").unwrap_err();
        assert_eq!(error.fault, ModelFault::Broken);
        assert!(!error.to_string().contains("secret"), "{error}");
        let error = read(&[json!({ "error": { "message": "secret", "code": "server_error" } })]).unwrap_err();
        assert_eq!((error.fault, error.context.contains("secret")), (ModelFault::Unavailable, false));
    }
}
