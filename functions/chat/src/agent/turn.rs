//! One turn of a model.

use std::future::Future;

use shared::embed::estimated_tokens;
use shared::error::{Error, ModelFault};
use shared::telemetry::GenAi;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::event::{FinishReason, Usage};
use crate::llm::{Call, Ending, LlmError, PromptMessage};

/// What a model said in a turn.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) calls: Vec<Call>,
    /// As the provider counts.
    pub(super) usage: Option<Usage>,
}

/// Why something is not waited for any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interrupted {
    /// The user stopped the answer.
    Stopped,
    /// The time is over.
    Late,
}

/// How a turn was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// The model ended it.
    Ended(Ending),
    /// It was broken off, and the answer ends for this reason.
    Early(FinishReason),
}

/// How the answer ends with a turn that the model ended; not at all, if it waits for the outcomes of its calls.
pub(super) fn end(ending: Ending, said: &Said, blank: bool, last: bool) -> Option<Result<FinishReason, Error>> {
    Some(match ending {
        Ending::Length => Ok(FinishReason::Length),
        Ending::Filtered => Err(LlmError::new(ModelFault::Refused, "the provider held the answer back").into()),
        Ending::Stop | Ending::Calls if said.calls.is_empty() && blank => {
            Err(LlmError::new(ModelFault::Broken, "an empty answer").into())
        }
        Ending::Stop | Ending::Calls if said.calls.is_empty() => Ok(FinishReason::Stop),
        // It calls although it was offered nothing.
        Ending::Stop | Ending::Calls if last => Ok(FinishReason::Length),
        Ending::Stop | Ending::Calls => return None,
    })
}

/// What traces tell of a turn.
#[expect(clippy::needless_pass_by_value, reason = "the step ends here")]
pub(super) fn note(step: GenAi, usage: Usage, said: &Said, ending: &Result<Over, LlmError>) {
    let (input_tokens, output_tokens) = (usage.input_tokens, usage.output_tokens);
    tracing::debug!(input_tokens, output_tokens, calls = said.calls.len(), "a turn of the model");
    step.used(input_tokens as u64, output_tokens as u64);
    step.said(&said.text);
    match ending {
        Ok(Over::Ended(Ending::Calls)) => step.finished("tool_calls"),
        Ok(Over::Ended(Ending::Length) | Over::Early(FinishReason::Length)) => step.finished("length"),
        Ok(Over::Ended(Ending::Filtered)) => step.finished("content_filter"),
        Ok(Over::Ended(Ending::Stop) | Over::Early(_)) => step.finished("stop"),
        Err(error) => step.failed(error.kind()),
    }
}

impl From<Interrupted> for FinishReason {
    fn from(interrupted: Interrupted) -> Self {
        match interrupted {
            Interrupted::Stopped => Self::Stopped,
            Interrupted::Late => Self::Length,
        }
    }
}

impl Said {
    /// An estimate of the tokens.
    pub(super) fn tokens(&self) -> usize {
        let calls = self.calls.iter().map(|call| estimated_tokens(&call.name) + estimated_tokens(&call.arguments));
        estimated_tokens(&self.text) + calls.sum::<usize>()
    }
}

/// An estimate of the tokens of a prompt.
pub(super) fn tokens(system: &str, messages: &[PromptMessage]) -> u64 {
    let of = |message: &PromptMessage| match message {
        PromptMessage::User(text) => estimated_tokens(text),
        PromptMessage::Assistant { text, calls } => {
            estimated_tokens(text) + calls.iter().map(|call| estimated_tokens(&call.arguments)).sum::<usize>()
        }
        PromptMessage::Results(outcomes) => outcomes.iter().map(|outcome| estimated_tokens(&outcome.text)).sum(),
    };
    (estimated_tokens(system) + messages.iter().map(of).sum::<usize>()) as u64
}

/// Waits for something unless the user stops the answer or its time ends.
pub(super) async fn guard<T>(
    stop: &mut watch::Receiver<bool>,
    until: Instant,
    future: impl Future<Output = T>,
) -> Result<T, Interrupted> {
    tokio::select! {
        biased;
        () = stopped(stop) => Err(Interrupted::Stopped),
        done = future => Ok(done),
        () = tokio::time::sleep_until(until) => Err(Interrupted::Late),
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stopped| *stopped).await.is_err() {
        // Whoever could stop it is gone.
        std::future::pending::<()>().await;
    }
}
