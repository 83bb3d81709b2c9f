//! The loop that makes an answer: a turn of the model, what it calls, another turn, until it has said all or reached a bound.

mod bounds;
mod citations;
mod fence;
mod history;
mod prompt;
mod turn;

use async_stream::stream;
use futures::stream::FuturesOrdered;
use futures::{Stream, StreamExt};
use serde_json::Value;
use shared::error::{Error, ModelFault};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::event::{Event, FinishReason, Usage};
use crate::llm::{Call, Ending, LlmError, Models, Outcome, Piece, Prompt, PromptMessage};
use crate::run::Account;
use crate::tools::{Failure, Findings, Sources, TOOLS, Toolbox};
use citations::{Markers, Resolved};
use turn::Said;

pub(crate) use bounds::Bounds;
pub(crate) use fence::Fence;
pub(crate) use history::{Exchange, shown};
pub(crate) use prompt::system;

/// Calls of one turn. They run side by side; further ones are left out.
const MOST_CALLS: usize = 8;
/// The longest answer, in bytes. With all that belongs to it, it is kept in one item of the database, which holds 400 kB.
const MAX_ANSWER: usize = 64 * 1024;
/// All that a model may write into its calls, in bytes.
const MAX_ASKED: usize = 40 * 1024;
/// All that the tools may find for one answer, in bytes.
const MAX_FOUND: usize = 160 * 1024;
/// What a passage takes beside its text and the name of its document, in bytes.
const PASSAGE: usize = 250;
/// What a call takes beside what the model writes into it, in bytes.
const CALL: usize = 500;
/// The longest sentence on a call that failed which is shown to others than the model, in characters.
const LONGEST_FAILURE: usize = 200;
/// A turn that writes more bytes than this for each of its tokens does not keep to its limit.
const TOKEN: usize = 16;

/// What an answer is made with.
pub(crate) struct Agent {
    pub(crate) models: Models,
    pub(crate) model: String,
    pub(crate) toolbox: Toolbox,
    pub(crate) fence: Fence,
    pub(crate) system: String,
    /// The conversation, with the question at its end.
    pub(crate) messages: Vec<PromptMessage>,
    /// What may be cited of earlier answers.
    pub(crate) sources: Sources,
    pub(crate) bounds: Bounds,
    /// What it may take of the tenant's budget.
    pub(crate) account: Account,
    /// Becomes true when the user stops the answer.
    pub(crate) stop: watch::Receiver<bool>,
    /// For the log.
    pub(crate) request_id: String,
}

/// What comes out of it.
pub(crate) enum Made {
    /// Anything between the first event and the last. Citations that the text holds come right behind it.
    Event(Event),
    /// The calls of a turn are done.
    Step,
    /// The end. Its usage went out before.
    End(Result<FinishReason, Error>),
}

impl Agent {
    /// Makes the answer, while the stream is polled.
    pub(crate) fn answer(self) -> impl Stream<Item = Made> {
        let Self { models, model, toolbox, fence, system, mut messages, mut sources, .. } = self;
        let (mut bounds, account, mut stop, request_id) = (self.bounds, self.account, self.stop, self.request_id);
        stream! {
            let (mut markers, mut used) = (Markers::default(), Usage::default());
            let (mut answer, mut blank, mut asked, mut found) = (0, true, 0, 0);
            let end = loop {
                let read = turn::tokens(&system, &messages);
                let allowance = match bounds.next(read, Instant::now()) {
                    Ok(allowance) => allowance,
                    Err(reason) => break Ok(reason),
                };
                let before = (used.input_tokens + used.output_tokens) as u64;
                match account.cover(before + read + u64::from(allowance.max_tokens)).await {
                    Ok(true) => {}
                    Ok(false) => break Ok(FinishReason::Budget),
                    Err(error) => break Err(error),
                }
                let prompt = Prompt {
                    model: model.clone(),
                    system: if allowance.last { format!("{system}{}", prompt::LAST_TURN) } else { system.clone() },
                    messages: messages.clone(),
                    tools: if allowance.last { &[] } else { &TOOLS },
                    max_tokens: allowance.max_tokens,
                };
                let begun = turn::guard(&mut stop, bounds.until, models.turn(prompt)).await;
                let mut pieces = match begun {
                    Ok(Ok(pieces)) => pieces,
                    Ok(Err(error)) => break Err(error.into()),
                    Err(interrupted) => {
                        // The prompt was sent, and is paid for.
                        used.add(Usage::of(read, 0));
                        break Ok(interrupted.into());
                    }
                };
                let mut said = Said::default();
                let ending = loop {
                    match turn::guard(&mut stop, bounds.until, pieces.next()).await {
                        Err(interrupted) => break Ok(Err(interrupted.into())),
                        Ok(None) => break Err(LlmError::new(ModelFault::Broken, "a turn without an end")),
                        Ok(Some(Err(error))) => break Err(error),
                        Ok(Some(Ok(Piece::End(ending)))) => break Ok(Ok(ending)),
                        Ok(Some(Ok(Piece::Usage(usage)))) => said.usage = Some(usage),
                        Ok(Some(Ok(Piece::Call(call)))) => said.calls.push(call),
                        Ok(Some(Ok(Piece::Text(text)))) if text.is_empty() => {}
                        Ok(Some(Ok(Piece::Text(text)))) => {
                            // What an earlier turn said is a paragraph of its own.
                            let gap = if said.text.is_empty() && answer > 0 { "\n\n" } else { "" };
                            let room = MAX_ANSWER.saturating_sub(answer + gap.len());
                            let fits = &text[..text.floor_char_boundary(room)];
                            said.text.push_str(fits);
                            let resolved = markers.push(&format!("{gap}{fits}"), &sources);
                            answer += resolved.text.len();
                            blank &= resolved.text.trim().is_empty();
                            for event in events(resolved) {
                                yield Made::Event(event);
                            }
                            if fits.len() < text.len() || said.text.len() > TOKEN * allowance.max_tokens as usize {
                                break Ok(Err(FinishReason::Length));
                            }
                        }
                    }
                };
                // Closes the connection of a turn that did not come to its end.
                drop(pieces);
                let resolved = markers.finish();
                answer += resolved.text.len();
                blank &= resolved.text.trim().is_empty();
                for event in events(resolved) {
                    yield Made::Event(event);
                }
                let usage = said.usage.unwrap_or_else(|| Usage::of(read, said.tokens() as u64));
                used.add(usage);
                bounds.spend(usage);
                match ending {
                    Err(error) => break Err(error.into()),
                    Ok(Err(reason)) => break Ok(reason),
                    Ok(Ok(Ending::Length)) => break Ok(FinishReason::Length),
                    Ok(Ok(Ending::Filtered)) => {
                        break Err(LlmError::new(ModelFault::Refused, "the provider held the answer back").into());
                    }
                    Ok(Ok(Ending::Stop | Ending::Calls)) if said.calls.is_empty() => {
                        if blank {
                            break Err(LlmError::new(ModelFault::Broken, "an empty answer").into());
                        }
                        break Ok(FinishReason::Stop);
                    }
                    // It calls although it was offered nothing.
                    Ok(Ok(Ending::Stop | Ending::Calls)) if allowance.last => break Ok(FinishReason::Length),
                    Ok(Ok(Ending::Stop | Ending::Calls)) => {}
                }

                let mut calls = std::mem::take(&mut said.calls);
                calls.truncate(MOST_CALLS);
                calls.retain(|call| {
                    asked += CALL + call.id.len() + call.name.len() + call.arguments.len();
                    asked <= MAX_ASKED
                });
                if calls.is_empty() {
                    break Ok(FinishReason::Length);
                }
                for call in &calls {
                    yield Made::Event(shown_call(call));
                }
                let mut outcomes = Vec::with_capacity(calls.len());
                let mut interrupted = None;
                {
                    let mut results: FuturesOrdered<_> = calls.iter().map(|call| toolbox.call(call)).collect();
                    for call in &calls {
                        let result = match turn::guard(&mut stop, bounds.until, results.next()).await {
                            Ok(Some(result)) => result,
                            Ok(None) => break,
                            Err(reason) => {
                                interrupted = Some(reason);
                                break;
                            }
                        };
                        let outcome = outcome(call, result, &fence, &mut sources, &mut found, &request_id);
                        yield Made::Event(shown_result(&outcome));
                        outcomes.push(outcome);
                    }
                }
                yield Made::Step;
                if let Some(interrupted) = interrupted {
                    break Ok(interrupted.into());
                }
                messages.push(PromptMessage::Assistant { text: said.text, calls });
                messages.push(PromptMessage::Results(outcomes));
            };
            yield Made::Event(Event::Usage(used));
            yield Made::End(end);
        }
    }
}

fn events(resolved: Resolved) -> impl Iterator<Item = Event> {
    let Resolved { text, citations } = resolved;
    let delta = (!text.is_empty()).then_some(Event::Delta { text });
    delta.into_iter().chain(citations.into_iter().map(Event::Citation))
}

/// What the model reads of a call, with the passages numbered.
fn outcome(
    call: &Call,
    result: Result<Findings, Failure>,
    fence: &Fence,
    sources: &mut Sources,
    found: &mut usize,
    request_id: &str,
) -> Outcome {
    let failed = |text| Outcome { call: call.id.clone(), text, failed: true, sources: Vec::new() };
    let findings = match result {
        Ok(findings) => findings,
        Err(Failure::Wrong(text)) => return failed(text),
        Err(Failure::Away(error)) => {
            tracing::error!(request_id, tool = call.name, %error, "a tool failed");
            return failed(
                "This is not available right now. Answer with what you have, and say what you could not look up."
                    .to_owned(),
            );
        }
    };
    let Findings { passages, data, note } = findings;
    let (all, mut numbered) = (passages.len(), Vec::with_capacity(passages.len()));
    for passage in &passages {
        *found += PASSAGE + passage.filename.len() + passage.text.len();
        let Some(source) = (*found <= MAX_FOUND).then(|| sources.number(passage)).flatten() else { break };
        numbered.push(source);
    }
    let mut parts = Vec::new();
    if !numbered.is_empty() {
        parts.push(fence.passages(&numbered, usize::MAX));
    }
    if !data.is_empty() {
        parts.push(fence.around(&fence.harmless(&data)));
    }
    if numbered.len() < all {
        parts.push("More was found, but one answer may look at no more. Answer with what you have.".to_owned());
    }
    if !note.is_empty() {
        parts.push(note);
    }
    Outcome { call: call.id.clone(), text: parts.join("\n"), failed: false, sources: numbered }
}

fn shown_call(call: &Call) -> Event {
    // What is no JSON is shown as it was written.
    let arguments = serde_json::from_str(&call.arguments).unwrap_or_else(|_| Value::String(call.arguments.clone()));
    Event::ToolCall { id: call.id.clone(), name: call.name.clone(), arguments }
}

fn shown_result(outcome: &Outcome) -> Event {
    let error = outcome.failed.then(|| fence::cut(&outcome.text, LONGEST_FAILURE));
    Event::ToolResult { id: outcome.call.clone(), sources: outcome.sources.clone(), error }
}
