use serde::Deserialize;
use serde_json::Value;
use shared::error::Error;
use shared::retrieval::Filter;
use shared::tenancy::{CollectionId, MessageId};
use utoipa::ToSchema;

use crate::conversations::{ChatId, Place};
use crate::run::{Ask, MAX_MESSAGE, Question};
use crate::tools::Within;

/// What `useChat` sends. Members that it does not name here are not looked at: each version adds some, and so do applications.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UiChat, example = json!({
    "id": "5HfTqBzWcVYbRp2N", "trigger": "submit-message",
    "messages": [{ "id": "1", "role": "user", "parts": [{ "type": "text", "text": "What do ducks eat?" }] }]
}))]
pub(crate) struct Request {
    /// The chat by the id that the application gave it.
    id: ChatId,
    /// The chat as the application shows it. What is in it before the last message is not believed: Ragline keeps the
    /// conversation itself.
    #[schema(min_items = 1)]
    messages: Vec<UiMessage>,
    #[serde(default)]
    trigger: Trigger,
    /// The message that is asked anew, if one is.
    #[serde(default)]
    message_id: Option<String>,
    /// What the answer may be made of; all that the caller may read if there are none.
    #[serde(default)]
    collections: Vec<CollectionId>,
    /// Only documents whose metadata passes.
    #[serde(default)]
    #[schema(value_type = Option<Filter>)]
    filters: Option<Value>,
}

/// Why the application asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = UiChatTrigger)]
enum Trigger {
    #[default]
    SubmitMessage,
    RegenerateMessage,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UiMessage)]
struct UiMessage {
    #[serde(default)]
    id: String,
    /// `user` or `assistant`
    role: String,
    parts: Vec<UiPart>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UiMessagePart)]
struct UiPart {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
}

impl Request {
    /// What is asked, and where in the conversation it belongs.
    pub(super) fn ask(mut self) -> Result<Ask, Error> {
        let last = self.messages.len().checked_sub(1).ok_or_else(|| Error::field("/messages", "there is none"))?;
        let place = match (self.trigger, &self.message_id) {
            (Trigger::SubmitMessage, None) => Place::Next,
            _ => Place::After(self.answer_before(last)?),
        };
        let message = self.messages.remove(last);
        if message.role != "user" {
            return Err(Error::field(format!("/messages/{last}/role"), "the last message must be the user's"));
        }
        let text = message.text(last)?;
        let question = Question::Chat { chat: self.id, place, text };
        Ok(Ask { question, within: Within { collections: self.collections, filters: self.filters } })
    }

    /// The answer that stands before a message; the application has it under the id that it was given with.
    fn answer_before(&self, place: usize) -> Result<Option<MessageId>, Error> {
        let Some(at) = self.messages[..place].iter().rposition(|message| message.role == "assistant") else {
            return Ok(None);
        };
        let id = self.messages[at].id.parse();
        id.map(Some).map_err(|_| Error::field(format!("/messages/{at}/id"), "is not the id of an answer"))
    }
}

impl UiMessage {
    /// What the user wrote.
    fn text(self, place: usize) -> Result<String, Error> {
        let mut texts = Vec::new();
        for (index, part) in self.parts.into_iter().enumerate() {
            match part.kind.as_str() {
                "text" => texts.extend(part.text),
                "file" => {
                    let at = format!("/messages/{place}/parts/{index}");
                    return Err(Error::field(at, "a question has no files; upload them as documents"));
                }
                // What applications add for themselves.
                _ => {}
            }
        }
        let text = texts.join("\n");
        if text.trim().is_empty() || text.chars().count() > MAX_MESSAGE {
            let rule = format!("must have text of 1 to {MAX_MESSAGE} characters");
            return Err(Error::field(format!("/messages/{place}/parts"), rule));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ANSWER: &str = "01KB0000000000000000000000";

    fn user(text: &str) -> Value {
        json!({ "id": "u", "role": "user", "parts": [{ "type": "text", "text": text }] })
    }

    fn assistant(id: &str) -> Value {
        json!({ "id": id, "role": "assistant", "parts": [{ "type": "step-start" }, { "type": "tool-search", "output": {} }] })
    }

    fn ask(messages: &[Value], further: &Value) -> Result<(Place, String), Error> {
        let mut request = json!({ "id": "chat 1", "messages": messages, "whatever": { "the": "application" } });
        request.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        let request: Request = serde_json::from_value(request).unwrap();
        let Question::Chat { place, text, .. } = request.ask()?.question else { panic!("a question of another kind") };
        Ok((place, text))
    }

    fn fault(messages: &[Value]) -> String {
        match ask(messages, &json!({ "trigger": "regenerate-message" })) {
            Err(Error::Invalid(faults)) => faults[0].pointer.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_goes_to_the_end_and_what_is_asked_anew_behind_the_answer_before_it() {
        let after = |id: &str| Place::After(Some(id.parse().unwrap()));
        let submit = |message_id: Value| json!({ "trigger": "submit-message", "messageId": message_id });
        let chat = [user("one"), assistant(ANSWER), user("two")];
        let two = || "two".to_owned();
        assert_eq!(ask(&chat, &submit(Value::Null)).unwrap(), (Place::Next, two()));
        assert_eq!(ask(&chat, &json!({})).unwrap(), (Place::Next, two()));
        assert_eq!(ask(&chat, &submit(json!("u"))).unwrap(), (after(ANSWER), two()));
        assert_eq!(ask(&chat, &json!({ "trigger": "regenerate-message" })).unwrap(), (after(ANSWER), two()));
        let first = json!({ "trigger": "regenerate-message", "messageId": "x" });
        assert_eq!(ask(&chat[..1], &first).unwrap(), (Place::After(None), "one".to_owned()));
        // The place of a new message does not depend on what the application shows.
        assert_eq!(ask(&[assistant("x"), user("two")], &json!({})).unwrap(), (Place::Next, two()));
    }

    #[test]
    fn what_cannot_be_asked_is_named() {
        let file = json!({ "id": "u", "role": "user", "parts": [
            { "type": "text", "text": "What is this?" }, { "type": "file", "url": "data:,", "mediaType": "text/plain" },
        ] });
        assert_eq!(fault(&[]), "/messages");
        assert_eq!(fault(&[user("one"), assistant(ANSWER)]), "/messages/1/role");
        assert_eq!(fault(&[user(" ")]), "/messages/0/parts");
        assert_eq!(fault(&[file]), "/messages/0/parts/1");
        assert_eq!(fault(&[assistant("x"), user("two")]), "/messages/0/id");
    }
}
