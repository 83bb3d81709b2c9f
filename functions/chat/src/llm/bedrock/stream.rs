use async_stream::stream;
use aws_sdk_bedrockruntime::primitives::event_stream::EventReceiver;
use aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError;
use aws_sdk_bedrockruntime::types::{
    ContentBlockDelta, ContentBlockStart, ConverseStreamOutput, StopReason, TokenUsage,
};
use futures::Stream;
use shared::error::ModelFault;

use super::fault;
use crate::event::Usage;
use crate::llm::pace::Pace;
use crate::llm::{Call, Ending, LlmError, Piece};

/// All that a turn may write into its calls, in bytes.
const MAX_CALLS: usize = 1024 * 1024;

/// The turn in a stream. Whoever drops it closes the connection.
pub(super) fn turn(
    mut events: EventReceiver<ConverseStreamOutput, ConverseStreamOutputError>,
    mut pace: Pace,
) -> impl Stream<Item = Result<Piece, LlmError>> + Send {
    stream! {
        let mut blocks = Blocks::default();
        loop {
            let event = match pace.within(events.recv()).await {
                Ok(Ok(Some(event))) => event,
                Ok(Ok(None)) => break,
                // Nothing is missed but the usage.
                Ok(Err(_)) | Err(_) if blocks.ending.is_some() => break,
                Ok(Err(error)) => {
                    yield Err(fault::in_stream(&error));
                    return;
                }
                Err(error) => {
                    yield Err(error);
                    return;
                }
            };
            match blocks.read(event) {
                Ok(Read::Said(text)) => {
                    pace.heard();
                    if let Some(text) = text.filter(|text| !text.is_empty()) {
                        yield Ok(Piece::Text(text));
                    }
                }
                Ok(Read::Else) => {}
                Err(error) => {
                    yield Err(error);
                    return;
                }
            }
        }
        drop(events);
        match blocks.end() {
            Ok(pieces) => {
                for piece in pieces {
                    yield Ok(piece);
                }
            }
            Err(error) => yield Err(error),
        }
    }
}

/// A turn as its events make it.
#[derive(Debug, Default)]
struct Blocks {
    /// The calls, each with the number of its block.
    calls: Vec<(i32, Call)>,
    size: usize,
    usage: Option<Usage>,
    ending: Option<Ending>,
}

/// What an event is.
enum Read {
    /// A part of the turn, perhaps with words.
    Said(Option<String>),
    /// Something about it.
    Else,
}

impl Blocks {
    fn read(&mut self, event: ConverseStreamOutput) -> Result<Read, LlmError> {
        match event {
            ConverseStreamOutput::ContentBlockStart(event) => {
                let Some(ContentBlockStart::ToolUse(start)) = event.start else { return Ok(Read::Else) };
                let call = Call { id: start.tool_use_id, name: start.name, arguments: String::new() };
                self.calls.push((event.content_block_index, call));
                Ok(Read::Said(None))
            }
            ConverseStreamOutput::ContentBlockDelta(event) => match event.delta {
                Some(ContentBlockDelta::Text(text)) => Ok(Read::Said(Some(text))),
                Some(ContentBlockDelta::ToolUse(part)) => {
                    self.size += part.input.len();
                    if self.size > MAX_CALLS {
                        return Err(LlmError::new(ModelFault::Broken, "the calls are longer than any"));
                    }
                    let block = event.content_block_index;
                    if let Some((_, call)) = self.calls.iter_mut().find(|(index, _)| *index == block) {
                        call.arguments.push_str(&part.input);
                    }
                    Ok(Read::Said(None))
                }
                // Thoughts are a sign of life.
                _ => Ok(Read::Said(None)),
            },
            ConverseStreamOutput::MessageStop(event) => {
                self.ending = Some(ending(&event.stop_reason)?);
                Ok(Read::Said(None))
            }
            ConverseStreamOutput::Metadata(event) => {
                self.usage = event.usage.as_ref().map(usage);
                Ok(Read::Else)
            }
            _ => Ok(Read::Else),
        }
    }

    /// What there is besides the words.
    fn end(self) -> Result<Vec<Piece>, LlmError> {
        let ending =
            self.ending.ok_or_else(|| LlmError::new(ModelFault::Broken, "the stream ended before the turn"))?;
        // A turn that was cut short may have been cut short within a call.
        let calls = if ending == Ending::Calls { self.calls } else { Vec::new() };
        let calls = calls.into_iter().map(|(_, mut call)| {
            if call.arguments.is_empty() {
                "{}".clone_into(&mut call.arguments);
            }
            Piece::Call(call)
        });
        Ok(calls.chain(self.usage.map(Piece::Usage)).chain([Piece::End(ending)]).collect())
    }
}

fn ending(reason: &StopReason) -> Result<Ending, LlmError> {
    Ok(match reason {
        StopReason::ToolUse => Ending::Calls,
        StopReason::MaxTokens | StopReason::ModelContextWindowExceeded => Ending::Length,
        StopReason::ContentFiltered | StopReason::GuardrailIntervened => Ending::Filtered,
        StopReason::MalformedModelOutput | StopReason::MalformedToolUse => {
            return Err(LlmError::new(ModelFault::Broken, format!("the model failed to write: {reason}")));
        }
        _ => Ending::Stop,
    })
}

/// What was read counts whether it was cached or not.
fn usage(usage: &TokenUsage) -> Usage {
    let cached = usage.cache_read_input_tokens.unwrap_or_default() + usage.cache_write_input_tokens.unwrap_or_default();
    let count = |tokens: i32| usize::try_from(tokens).unwrap_or_default();
    Usage { input_tokens: count(usage.input_tokens + cached), output_tokens: count(usage.output_tokens) }
}
