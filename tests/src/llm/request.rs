use axum::body::Bytes;
use http::HeaderMap;
use serde_json::Value;

/// What the model was asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, as it was sent.
    pub body: Value,
    /// The body's length.
    pub bytes: usize,
    /// What Bedrock was asked, as OpenAI's server would be.
    chat: Option<Value>,
}

impl Request {
    pub(super) fn read(headers: HeaderMap, bytes: &Bytes) -> Result<Self, String> {
        let body = serde_json::from_slice(bytes).map_err(|error| format!("the body is not JSON: {error}"))?;
        Ok(Self { headers, body, bytes: bytes.len(), chat: None })
    }

    /// The request, which says in its own way what `chat` says in that of OpenAI.
    pub(super) fn saying(self, chat: Value) -> Self {
        Self { chat: Some(chat), ..self }
    }

    fn chat(&self) -> &Value {
        self.chat.as_ref().unwrap_or(&self.body)
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        self.chat()["model"].as_str().unwrap_or_default()
    }

    /// The messages, oldest first.
    pub fn messages(&self) -> &[Value] {
        self.chat()["messages"].as_array().map_or(&[], Vec::as_slice)
    }

    /// What the model is told before anything else.
    pub fn system(&self) -> &str {
        self.messages().iter().find(|message| message["role"] == "system").map_or("", content)
    }

    /// The last thing that the user said.
    pub fn question(&self) -> &str {
        self.messages().iter().rfind(|message| message["role"] == "user").map_or("", content)
    }

    /// What came of the calls since the question, in their order.
    pub fn results(&self) -> Vec<&str> {
        self.since_question().iter().filter(|message| message["role"] == "tool").map(content).collect()
    }

    /// How many turns since the question called tools.
    pub fn rounds(&self) -> usize {
        self.since_question().iter().filter(|message| message["tool_calls"].is_array()).count()
    }

    /// The names of the tools that it may call.
    pub fn tools(&self) -> Vec<&str> {
        let tools = self.chat()["tools"].as_array().map_or(&[][..], Vec::as_slice);
        tools.iter().filter_map(|tool| tool["function"]["name"].as_str()).collect()
    }

    /// The most tokens that it may write.
    pub fn max_tokens(&self) -> Option<u64> {
        self.chat()["max_completion_tokens"].as_u64().or_else(|| self.chat()["max_tokens"].as_u64())
    }

    /// Whether the answer is to be streamed.
    pub fn streams(&self) -> bool {
        self.chat()["stream"] == true
    }

    /// Whether the stream is to tell what the turn took.
    pub fn wants_usage(&self) -> bool {
        self.chat()["stream_options"]["include_usage"] == true
    }

    /// What OpenAI's server would refuse about it.
    pub(super) fn fault(&self) -> Option<String> {
        if self.model().is_empty() {
            return Some("you must provide a model parameter".to_owned());
        }
        if self.messages().is_empty() {
            return Some("[] is too short - 'messages'".to_owned());
        }
        if self.chat()["tools"].as_array().is_some_and(Vec::is_empty) {
            return Some("[] is too short - 'tools'".to_owned());
        }
        if !self.chat()["stream_options"].is_null() && !self.streams() {
            return Some("The 'stream_options' parameter is only allowed when 'stream' is enabled.".to_owned());
        }
        self.unanswered_call()
    }

    /// Each call has its outcome in the messages right behind it, and no outcome stands without a call.
    fn unanswered_call(&self) -> Option<String> {
        let mut open: Vec<&str> = Vec::new();
        for message in self.messages() {
            let role = message["role"].as_str().unwrap_or_default();
            if role == "tool" {
                let id = message["tool_call_id"].as_str().unwrap_or_default();
                let Some(at) = open.iter().position(|call| *call == id) else {
                    return Some(format!("the tool message {id:?} does not follow a call of this id"));
                };
                open.remove(at);
                continue;
            }
            if !open.is_empty() {
                return Some(format!("no tool messages follow the calls {open:?}"));
            }
            if !matches!(role, "system" | "developer" | "user" | "assistant") {
                return Some(format!("{role:?} is not a role"));
            }
            let calls = message["tool_calls"].as_array().map_or(&[][..], Vec::as_slice);
            if role == "assistant" && calls.is_empty() && !message["content"].is_string() {
                return Some("an assistant's message has content or calls".to_owned());
            }
            open = calls.iter().filter_map(|call| call["id"].as_str()).collect();
        }
        (!open.is_empty()).then(|| format!("no tool messages follow the calls {open:?}"))
    }

    fn since_question(&self) -> &[Value] {
        let at = self.messages().iter().rposition(|message| message["role"] == "user").map_or(0, |at| at + 1);
        &self.messages()[at..]
    }
}

fn content(message: &Value) -> &str {
    message["content"].as_str().unwrap_or_default()
}
