//! What a model asks for, and what it and others are told of it.

use serde_json::Value;

use super::fence::{self, Fence};
use crate::event::Event;
use crate::llm::{Call, Outcome};
use crate::tools::{Failure, Findings, Sources};

/// Calls of one turn. They run side by side; further ones are left out.
const MOST: usize = 8;
/// All that a model may write into its calls, in bytes: they are stored with the answer.
const MAX_ASKED: usize = 40 * 1024;
/// What a call takes beside what the model writes into it, in bytes.
const CALL: usize = 500;
/// The longest sentence on a call that failed which is shown to others than the model, in characters.
const LONGEST_FAILURE: usize = 200;

/// What was asked for so far.
#[derive(Debug, Default)]
pub(super) struct Asked {
    bytes: usize,
}

impl Asked {
    /// Those of the calls that are carried out.
    pub(super) fn admit(&mut self, mut calls: Vec<Call>) -> Vec<Call> {
        calls.truncate(MOST);
        calls.retain(|call| {
            self.bytes += CALL + call.id.len() + call.name.len() + call.arguments.len();
            self.bytes <= MAX_ASKED
        });
        calls
    }
}

/// The call as clients are told of it.
pub(super) fn shown(call: &Call) -> Event {
    // What is no JSON is shown as it was written.
    let arguments = serde_json::from_str(&call.arguments).unwrap_or_else(|_| Value::String(call.arguments.clone()));
    Event::ToolCall { id: call.id.clone(), name: call.name.clone(), arguments }
}

/// What the model reads of a call, with the passages numbered.
pub(super) fn outcome(
    call: &Call,
    result: Result<Findings, Failure>,
    fence: &Fence,
    sources: &mut Sources,
    request_id: &str,
) -> Outcome {
    let failed = |text: String| Outcome { call: call.id.clone(), text, failed: true, sources: Vec::new() };
    let Findings { passages, data, note } = match result {
        Ok(findings) => findings,
        Err(Failure::Wrong(text)) => return failed(text),
        Err(Failure::Away(error)) => {
            tracing::error!(request_id, tool = call.name, %error, "a tool failed");
            return failed(AWAY.to_owned());
        }
    };
    let numbered: Vec<_> = passages.iter().map_while(|passage| sources.number(passage)).collect();
    let mut parts = Vec::new();
    if !numbered.is_empty() {
        parts.push(fence.passages(&numbered, usize::MAX));
    }
    if !data.is_empty() {
        parts.push(fence.around(&fence.harmless(&data)));
    }
    if numbered.len() < passages.len() {
        parts.push(FULL.to_owned());
    }
    if !note.is_empty() {
        parts.push(note);
    }
    Outcome { call: call.id.clone(), text: parts.join("\n"), failed: false, sources: numbered }
}

const AWAY: &str = "This is not available right now. Answer with what you have, and say what you could not look up.";
const FULL: &str = "More was found, but one answer may look at no more. Answer with what you have.";

/// What came of a call, as clients are told of it.
pub(super) fn shown_outcome(outcome: &Outcome) -> Event {
    let error = outcome.failed.then(|| fence::cut(&outcome.text, LONGEST_FAILURE));
    Event::ToolResult { id: outcome.call.clone(), sources: outcome.sources.clone(), error }
}
