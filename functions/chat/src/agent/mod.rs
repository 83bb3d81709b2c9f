//! The loop that makes an answer: a turn of the model, what it calls, another turn, until it has said all or reached a bound.

mod bounds;
mod calls;
mod citations;
mod fence;
mod history;
mod prompt;
mod speech;
mod turn;

use async_stream::stream;
use futures::StreamExt;
use futures::stream::BoxStream;
use futures::stream::FuturesOrdered;
use shared::error::{Error, ModelFault};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::event::{Event, FinishReason, Usage};
use crate::llm::{LlmError, Models, Piece, Prompt, PromptMessage};
use crate::run::Account;
use crate::tools::{Sources, TOOLS, Toolbox};
use bounds::Allowance;
use calls::Asked;
use speech::Speech;
use turn::{Over, Said};

pub(crate) use bounds::Bounds;
pub(crate) use fence::Fence;
pub(crate) use history::{Exchange, shown};
pub(crate) use prompt::system;

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
    /// The end. Its usage went out before.
    End(Result<FinishReason, Error>),
}

impl Agent {
    /// Makes the answer, while the stream is polled.
    pub(crate) fn answer(self) -> BoxStream<'static, Made> {
        // In a place of its own: it is large, and so would be the stack of whoever polls it.
        let Self { models, model, toolbox, fence, system, mut messages, mut sources, .. } = self;
        let (mut bounds, account, mut stop, request_id) = (self.bounds, self.account, self.stop, self.request_id);
        stream! {
            let (mut speech, mut asked, mut used) = (Speech::default(), Asked::default(), Usage::default());
            let end = loop {
                let read = turn::tokens(&system, &messages);
                let allowance = match allowed(&bounds, &account, used, read).await {
                    Ok(allowance) => allowance,
                    Err(end) => break end,
                };
                let prompt = Prompt {
                    model: model.clone(),
                    system: if allowance.last { format!("{system}{}", prompt::LAST_TURN) } else { system.clone() },
                    messages: messages.clone(),
                    tools: if allowance.last { &[] } else { &TOOLS },
                    max_tokens: allowance.max_tokens,
                };
                let (step, begun) = models.begin(prompt);
                let mut pieces = match turn::guard(&mut stop, bounds.until, begun).await {
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
                        Err(interrupted) => break Ok(Over::Early(interrupted.into())),
                        Ok(None) => break Err(LlmError::new(ModelFault::Broken, "a turn without an end")),
                        Ok(Some(Err(error))) => break Err(error),
                        Ok(Some(Ok(Piece::End(ending)))) => break Ok(Over::Ended(ending)),
                        Ok(Some(Ok(Piece::Usage(usage)))) => said.usage = Some(usage),
                        Ok(Some(Ok(Piece::Call(call)))) => said.calls.push(call),
                        Ok(Some(Ok(Piece::Text(text)))) => {
                            let (events, more) = speech.say(&text, &mut said, allowance.max_tokens, &sources);
                            for event in events {
                                yield Made::Event(event);
                            }
                            if !more {
                                break Ok(Over::Early(FinishReason::Length));
                            }
                        }
                    }
                };
                // Closes the connection of a turn that did not come to its end.
                drop(pieces);
                for event in speech.pause() {
                    yield Made::Event(event);
                }
                let usage = said.usage.unwrap_or_else(|| Usage::of(read, said.tokens() as u64));
                turn::note(step, usage, &said, &ending);
                used.add(usage);
                bounds.spend(usage);
                match ending {
                    Err(error) => break Err(error.into()),
                    Ok(Over::Early(reason)) => break Ok(reason),
                    Ok(Over::Ended(ending)) => {
                        if let Some(end) = turn::end(ending, &said, speech.is_blank(), allowance.last) {
                            break end;
                        }
                    }
                }

                let calls = asked.admit(said.calls);
                if calls.is_empty() {
                    break Ok(FinishReason::Length);
                }
                for call in &calls {
                    yield Made::Event(calls::shown(call));
                }
                let (mut outcomes, mut interrupted) = (Vec::with_capacity(calls.len()), None);
                let mut results: FuturesOrdered<_> = calls.iter().map(|call| toolbox.call(call)).collect();
                for call in &calls {
                    match turn::guard(&mut stop, bounds.until, results.next()).await {
                        Ok(Some(result)) => {
                            let outcome = calls::outcome(call, result, &fence, &mut sources, &request_id);
                            yield Made::Event(calls::shown_outcome(&outcome));
                            outcomes.push(outcome);
                        }
                        Ok(None) => break,
                        Err(reason) => {
                            interrupted = Some(reason);
                            break;
                        }
                    }
                }
                drop(results);
                if let Some(interrupted) = interrupted {
                    break Ok(interrupted.into());
                }
                messages.push(PromptMessage::Assistant { text: said.text, calls });
                messages.push(PromptMessage::Results(outcomes));
            };
            yield Made::Event(Event::Usage(used));
            yield Made::End(end);
        }
        .boxed()
    }
}

/// What a turn may take whose prompt has so many tokens, or how the answer ends without it.
async fn allowed(
    bounds: &Bounds,
    account: &Account,
    used: Usage,
    prompt: u64,
) -> Result<Allowance, Result<FinishReason, Error>> {
    let allowance = bounds.next(prompt, Instant::now()).map_err(Ok)?;
    let before = (used.input_tokens + used.output_tokens) as u64;
    match account.cover(before + prompt + u64::from(allowance.max_tokens)).await {
        Ok(true) => Ok(allowance),
        Ok(false) => Err(Ok(FinishReason::Budget)),
        Err(error) => Err(Err(error)),
    }
}
