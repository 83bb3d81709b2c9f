//! What traces tell of models, agents and tools, in the names of OpenTelemetry's semantic conventions for generative AI 1.41
//! (status: development), which collectors for language models read.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::{Array, StringValue, Value};
use serde_json::json;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::telemetry::STEP;

/// Whether questions, answers, and what tools are told and tell stand in traces.
static CONTENTS: AtomicBool = AtomicBool::new(false);

pub(super) fn show_contents(show: bool) {
    CONTENTS.store(show, Ordering::Relaxed);
}

/// A step that a model, an agent or a tool takes.
#[derive(Debug, Clone)]
pub struct GenAi(Span);

/// An agent makes an answer.
pub fn invoke_agent(model: &str, conversation: &str) -> GenAi {
    GenAi(tracing::info_span!(
        target: STEP,
        "invoke_agent",
        otel.name = "invoke_agent ragline",
        otel.kind = "internal",
        gen_ai.operation.name = "invoke_agent",
        gen_ai.provider.name = "ragline",
        gen_ai.agent.name = "ragline",
        gen_ai.conversation.id = conversation,
        gen_ai.request.model = model,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.input.messages = Empty,
        gen_ai.output.messages = Empty,
        error.type = Empty,
        otel.status_code = Empty,
    ))
}

/// A model takes a turn. `provider` is named as the conventions do, such as `aws.bedrock`.
pub fn chat(provider: &str, model: &str, max_tokens: u32) -> GenAi {
    GenAi(tracing::info_span!(
        target: STEP,
        "chat",
        otel.name = format!("chat {model}"),
        otel.kind = "client",
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = provider,
        gen_ai.request.model = model,
        gen_ai.request.max_tokens = i64::from(max_tokens),
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.input.messages = Empty,
        gen_ai.output.messages = Empty,
        error.type = Empty,
        otel.status_code = Empty,
    ))
}

/// A tool is called. What is no tool of ours is a name that a model made up, so it is not repeated.
pub fn execute_tool(name: Option<&str>, call: &str) -> GenAi {
    let name = name.unwrap_or("unknown");
    GenAi(tracing::info_span!(
        target: STEP,
        "execute_tool",
        otel.name = format!("execute_tool {name}"),
        otel.kind = "internal",
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = name,
        gen_ai.tool.type = "function",
        gen_ai.tool.call.id = call,
        gen_ai.tool.call.arguments = Empty,
        gen_ai.tool.call.result = Empty,
        error.type = Empty,
        otel.status_code = Empty,
    ))
}

/// A model makes vectors of so many texts.
pub fn embeddings(provider: &str, model: &str, dimensions: usize, texts: usize) -> GenAi {
    GenAi(tracing::info_span!(
        target: STEP,
        "embeddings",
        otel.name = format!("embeddings {model}"),
        otel.kind = "client",
        gen_ai.operation.name = "embeddings",
        gen_ai.provider.name = provider,
        gen_ai.request.model = model,
        gen_ai.embeddings.dimension.count = number(dimensions as u64),
        ragline.embeddings.texts = number(texts as u64),
        gen_ai.usage.input_tokens = Empty,
        error.type = Empty,
        otel.status_code = Empty,
    ))
}

impl GenAi {
    /// The span, to be entered.
    pub fn span(&self) -> &Span {
        &self.0
    }

    /// Whether anybody will be told of it.
    pub fn is_recorded(&self) -> bool {
        !self.0.is_disabled()
    }

    /// What it took, in tokens.
    pub fn used(&self, input: u64, output: u64) {
        self.0.record("gen_ai.usage.input_tokens", number(input));
        self.0.record("gen_ai.usage.output_tokens", number(output));
    }

    /// Why a model or an agent ended.
    pub fn finished(&self, reason: &'static str) {
        if self.is_recorded() {
            let reasons = Value::Array(Array::String(vec![StringValue::from(reason)]));
            self.0.set_attribute("gen_ai.response.finish_reasons", reasons);
        }
    }

    /// It failed; `kind` names how, and is one of few.
    pub fn failed(&self, kind: &str) {
        self.0.record("error.type", kind);
        self.0.record("otel.status_code", "ERROR");
    }

    /// What a model is told, message by message with its role, where contents are asked for.
    pub fn told<'a>(&self, said: impl Iterator<Item = (&'static str, &'a str)>) {
        self.show("gen_ai.input.messages", || messages(said));
    }

    /// What a model says, where contents are asked for.
    pub fn said(&self, text: &str) {
        self.show("gen_ai.output.messages", || messages([("assistant", text)].into_iter()));
    }

    /// What a tool is told, where contents are asked for.
    pub fn asked(&self, arguments: &str) {
        self.show("gen_ai.tool.call.arguments", || arguments.to_owned());
    }

    fn show(&self, name: &'static str, content: impl FnOnce() -> String) {
        if self.is_recorded() && CONTENTS.load(Ordering::Relaxed) {
            self.0.record(name, content());
        }
    }
}

/// A number as OpenTelemetry knows it: any other kind would become a text.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Messages as the conventions write them (`gen-ai-input-messages.json`).
fn messages<'a>(said: impl Iterator<Item = (&'static str, &'a str)>) -> String {
    let message = |(role, text)| json!({ "role": role, "parts": [{ "type": "text", "content": text }] });
    said.map(message).collect::<serde_json::Value>().to_string()
}
