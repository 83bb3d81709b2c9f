use serde::Serialize;
use serde_json::Value;

use super::Fields;
use crate::llm::{Call, Prompt, PromptMessage};

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolOffered>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
#[serde(tag = "role", rename_all = "snake_case")]
enum Message<'a> {
    System {
        content: &'a str,
    },
    User {
        content: &'a str,
    },
    Assistant {
        /// Null, not missing, if there are only calls.
        content: Option<&'a str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<CallMade<'a>>,
    },
    Tool {
        tool_call_id: &'a str,
        content: &'a str,
    },
}

#[derive(Serialize)]
struct CallMade<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: FunctionCalled<'a>,
}

#[derive(Serialize)]
struct FunctionCalled<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct ToolOffered {
    #[serde(rename = "type")]
    kind: &'static str,
    function: FunctionOffered,
}

#[derive(Serialize)]
struct FunctionOffered {
    name: &'static str,
    description: &'static str,
    parameters: Value,
}

/// The body of the request for a turn.
pub(super) fn body(prompt: &Prompt, fields: Fields) -> Vec<u8> {
    let most = Some(prompt.max_tokens);
    let request = Request {
        model: &prompt.model,
        messages: messages(prompt),
        stream: true,
        stream_options: fields.stream_options.then_some(StreamOptions { include_usage: true }),
        max_tokens: most.filter(|_| fields.max_tokens),
        max_completion_tokens: most.filter(|_| !fields.max_tokens),
        tools: prompt
            .tools
            .iter()
            .map(|tool| {
                let (name, description, parameters) = (tool.name, tool.description, (tool.parameters)());
                ToolOffered { kind: "function", function: FunctionOffered { name, description, parameters } }
            })
            .collect(),
    };
    #[expect(clippy::expect_used, reason = "strings, numbers and JSON become JSON")]
    serde_json::to_vec(&request).expect("the request becomes JSON")
}

fn messages(prompt: &Prompt) -> Vec<Message<'_>> {
    let system = (!prompt.system.is_empty()).then_some(Message::System { content: &prompt.system });
    let mut messages: Vec<_> = system.into_iter().collect();
    for message in &prompt.messages {
        match message {
            PromptMessage::User(text) => messages.push(Message::User { content: text }),
            PromptMessage::Assistant { text, calls } => messages.push(Message::Assistant {
                content: Some(text.as_str()).filter(|text| !text.is_empty() || calls.is_empty()),
                tool_calls: calls.iter().map(call).collect(),
            }),
            PromptMessage::Results(outcomes) => messages.extend(
                outcomes.iter().map(|outcome| Message::Tool { tool_call_id: &outcome.call, content: &outcome.text }),
            ),
        }
    }
    messages
}

fn call(call: &Call) -> CallMade<'_> {
    // Some servers refuse a history whose arguments they cannot read; what was wrong about them says the outcome.
    let arguments = if call.object().is_some() { call.arguments.as_str() } else { "{}" };
    CallMade { id: &call.id, kind: "function", function: FunctionCalled { name: &call.name, arguments } }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::Outcome;

    fn sent(messages: Vec<PromptMessage>, fields: Fields) -> Value {
        let prompt =
            Prompt { model: "m".to_owned(), system: "Be kind.".to_owned(), messages, tools: &[], max_tokens: 100 };
        serde_json::from_slice(&body(&prompt, fields)).unwrap()
    }

    #[test]
    fn a_conversation_is_said_as_openai_has_it() {
        let call = |id: &str, arguments: &str| Call {
            id: id.to_owned(),
            name: "search".to_owned(),
            arguments: arguments.to_owned(),
        };
        let outcome = |call: &str, text: &str| Outcome {
            call: call.to_owned(),
            text: text.to_owned(),
            failed: false,
            sources: Vec::new(),
        };
        let messages = vec![
            PromptMessage::User("Do ducks fly?".to_owned()),
            PromptMessage::Assistant {
                text: String::new(),
                calls: vec![call("a", r#"{"query": "ducks"}"#), call("b", r#"{"query": "#)],
            },
            PromptMessage::Results(vec![outcome("a", "Yes."), outcome("b", "The arguments are no JSON.")]),
        ];
        let sent = sent(messages, Fields { max_tokens: true, stream_options: true });
        let expected = json!({
            "model": "m",
            "stream": true,
            "stream_options": { "include_usage": true },
            "max_tokens": 100,
            "messages": [
                { "role": "system", "content": "Be kind." },
                { "role": "user", "content": "Do ducks fly?" },
                { "role": "assistant", "content": null, "tool_calls": [
                    { "id": "a", "type": "function", "function": { "name": "search", "arguments": r#"{"query": "ducks"}"# } },
                    { "id": "b", "type": "function", "function": { "name": "search", "arguments": "{}" } },
                ] },
                { "role": "tool", "tool_call_id": "a", "content": "Yes." },
                { "role": "tool", "tool_call_id": "b", "content": "The arguments are no JSON." },
            ],
        });
        assert_eq!(sent, expected);
    }

    #[test]
    fn fields_that_a_server_lacks_are_left_out() {
        let sent = sent(Vec::new(), Fields { max_tokens: false, stream_options: false });
        assert_eq!((&sent["max_completion_tokens"], &sent["max_tokens"]), (&json!(100), &Value::Null));
        assert_eq!(sent["stream_options"], Value::Null);
    }
}
