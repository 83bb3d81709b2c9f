use std::collections::BTreeSet;

use aws_sdk_bedrockruntime::error::BuildError;
use aws_sdk_bedrockruntime::operation::converse_stream::builders::ConverseStreamFluentBuilder;
use aws_sdk_bedrockruntime::types::{
    ContentBlock, ConversationRole, InferenceConfiguration, Message, SystemContentBlock, Tool, ToolConfiguration,
    ToolInputSchema, ToolResultBlock, ToolResultContentBlock, ToolSpecification, ToolUseBlock,
};
use serde_json::{Value, json};
use shared::error::ModelFault;

use super::document::document;
use crate::llm::{Call, LlmError, Outcome, Prompt, PromptMessage};

/// What stands where there is no text: a block must not be blank.
const NOTHING: &str = "(nothing)";

/// The request for a turn.
pub(super) fn of(
    builder: ConverseStreamFluentBuilder,
    prompt: Prompt,
) -> Result<ConverseStreamFluentBuilder, LlmError> {
    let refused = |error: BuildError| LlmError::new(ModelFault::Refused, error.to_string());
    let tools = tools(&prompt).map_err(refused)?;
    let messages = messages(prompt.messages).map_err(refused)?;
    let most = i32::try_from(prompt.max_tokens).unwrap_or(i32::MAX);
    let system = (!prompt.system.trim().is_empty()).then(|| vec![SystemContentBlock::Text(prompt.system)]);
    Ok(builder
        .model_id(prompt.model)
        .set_system(system)
        .set_messages(Some(messages))
        .inference_config(InferenceConfiguration::builder().max_tokens(most).build())
        .set_tool_config(tools))
}

/// The tools. A conversation with calls is refused without any, so where no more calls are wanted, those that were called are
/// named as closed.
fn tools(prompt: &Prompt) -> Result<Option<ToolConfiguration>, BuildError> {
    let mut tools = Vec::new();
    for tool in prompt.tools {
        tools.push(specification(tool.name, tool.description, (tool.parameters)())?);
    }
    if tools.is_empty() {
        for name in called(&prompt.messages) {
            let description = "Closed. Answer with what was found.";
            tools.push(specification(name, description, json!({ "type": "object", "properties": {} }))?);
        }
    }
    (!tools.is_empty()).then(|| ToolConfiguration::builder().set_tools(Some(tools)).build()).transpose()
}

fn called(messages: &[PromptMessage]) -> BTreeSet<&str> {
    let calls = messages.iter().flat_map(|message| match message {
        PromptMessage::Assistant { calls, .. } => calls.as_slice(),
        _ => &[],
    });
    calls.map(|call| call.name.as_str()).collect()
}

fn specification(name: &str, description: &str, schema: Value) -> Result<Tool, BuildError> {
    let schema = ToolInputSchema::Json(document(schema));
    Ok(Tool::ToolSpec(ToolSpecification::builder().name(name).description(description).input_schema(schema).build()?))
}

/// The conversation: user and assistant take turns, the user first, and nobody says nothing.
fn messages(messages: Vec<PromptMessage>) -> Result<Vec<Message>, BuildError> {
    let mut turns: Vec<(ConversationRole, Vec<ContentBlock>)> = Vec::new();
    for message in messages {
        let (role, blocks) = match message {
            PromptMessage::User(text) => (ConversationRole::User, vec![ContentBlock::Text(some(text))]),
            PromptMessage::Assistant { text, calls } => {
                let text = (!text.trim().is_empty()).then_some(Ok(ContentBlock::Text(text)));
                let blocks: Result<_, _> = text.into_iter().chain(calls.into_iter().map(call)).collect();
                (ConversationRole::Assistant, blocks?)
            }
            PromptMessage::Results(outcomes) => {
                let blocks: Result<_, _> = outcomes.into_iter().map(outcome).collect();
                (ConversationRole::User, blocks?)
            }
        };
        let nobody_asked = turns.is_empty() && role == ConversationRole::Assistant;
        if blocks.is_empty() || nobody_asked {
            continue;
        }
        match turns.last_mut().filter(|(last, _)| *last == role) {
            Some((_, last)) => last.extend(blocks),
            None => turns.push((role, blocks)),
        }
    }
    turns.into_iter().map(|(role, blocks)| Message::builder().role(role).set_content(Some(blocks)).build()).collect()
}

fn call(call: Call) -> Result<ContentBlock, BuildError> {
    let input = Value::Object(call.object().unwrap_or_default());
    let block = ToolUseBlock::builder().tool_use_id(call.id).name(call.name).input(document(input)).build()?;
    Ok(ContentBlock::ToolUse(block))
}

/// The result of a call. Not all models take a status beside the text, which says what went wrong anyway.
fn outcome(outcome: Outcome) -> Result<ContentBlock, BuildError> {
    let text = ToolResultContentBlock::Text(some(outcome.text));
    Ok(ContentBlock::ToolResult(ToolResultBlock::builder().tool_use_id(outcome.call).content(text).build()?))
}

fn some(text: String) -> String {
    if text.trim().is_empty() { NOTHING.to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> PromptMessage {
        PromptMessage::User(text.to_owned())
    }

    fn says(text: &str, calls: &[(&str, &str)]) -> PromptMessage {
        let call = |&(id, arguments): &(&str, &str)| Call {
            id: id.to_owned(),
            name: "search".to_owned(),
            arguments: arguments.to_owned(),
        };
        PromptMessage::Assistant { text: text.to_owned(), calls: calls.iter().map(call).collect() }
    }

    fn found(call: &str, text: &str) -> PromptMessage {
        let (call, text) = (call.to_owned(), text.to_owned());
        PromptMessage::Results(vec![Outcome { call, text, failed: false, sources: Vec::new() }])
    }

    /// Who speaks, and in how many blocks.
    fn shape(prompt: Vec<PromptMessage>) -> Vec<(String, usize)> {
        let turns = messages(prompt).unwrap();
        turns.iter().map(|turn| (turn.role().as_str().to_owned(), turn.content().len())).collect()
    }

    #[test]
    fn user_and_assistant_take_turns_and_nobody_says_nothing() {
        let turn = |role: &str, blocks| (role.to_owned(), blocks);
        assert_eq!(shape(vec![says("cut off", &[]), user("a"), says(" ", &[]), user("b")]), [turn("user", 2)]);
        let prompt = vec![user("a"), says("", &[("1", "{}"), ("2", "{}")]), found("1", "x"), found("2", ""), user("b")];
        assert_eq!(shape(prompt), [turn("user", 1), turn("assistant", 2), turn("user", 3)]);
        let blank = messages(vec![user(" \n")]).unwrap();
        assert_eq!(blank[0].content(), [ContentBlock::Text(NOTHING.to_owned())]);
    }

    #[test]
    fn arguments_that_are_no_object_are_none() {
        for arguments in ["", "[1]", "{\"query\""] {
            let turns = messages(vec![user("a"), says("", &[("1", arguments)])]).unwrap();
            let ContentBlock::ToolUse(block) = &turns[1].content()[0] else { panic!("{turns:?}") };
            assert_eq!(block.input().as_object().map(std::collections::HashMap::len), Some(0), "{arguments}");
        }
    }

    #[test]
    fn a_conversation_with_calls_names_tools_though_none_are_offered() {
        let prompt =
            |messages| Prompt { model: "m".to_owned(), system: String::new(), messages, tools: &[], max_tokens: 1 };
        assert_eq!(tools(&prompt(vec![user("a")])).unwrap(), None);
        let closed = tools(&prompt(vec![user("a"), says("", &[("1", "{}"), ("2", "{}")]), found("1", "x")])).unwrap();
        let closed = closed.unwrap();
        let [Tool::ToolSpec(tool)] = closed.tools() else { panic!("{closed:?}") };
        assert_eq!(tool.name(), "search");
    }
}
