use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;

/// What the model says to one request, and how.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    pub(super) refusal: Option<Refusal>,
    pub(super) steps: Vec<Step>,
    pub(super) ending: Option<String>,
    pub(super) usage: Option<(usize, usize)>,
    calls: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) kind: String,
    pub(super) message: String,
    pub(super) retry_after: Option<String>,
    pub(super) parameter: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Text(String),
    Call {
        index: usize,
        name: String,
    },
    Arguments {
        index: usize,
        part: String,
    },
    Pause(Duration),
    /// Goes on when the test lets it.
    Gate(Arc<Semaphore>),
    /// Bytes as they are.
    Raw(Vec<u8>),
    /// An error in the stream: its kind and what it says.
    Error(String, String),
    /// Not even a status if it comes first, else silence.
    Hang,
    /// Cuts the connection.
    Break,
    /// Ends the answer as if it were complete, without the words that end one.
    End,
}

impl Turn {
    /// Words in one piece.
    pub fn text(text: &str) -> Self {
        Self::default().and_text(text)
    }

    /// Words in these pieces.
    pub fn pieces<T: Into<String>>(pieces: impl IntoIterator<Item = T>) -> Self {
        let steps = pieces.into_iter().map(|piece| Step::Text(piece.into())).collect();
        Self { steps, ..Self::default() }
    }

    /// A call of a tool.
    pub fn call(name: &str, arguments: &Value) -> Self {
        Self::default().and_call(name, arguments)
    }

    /// No answer but a status and an error of this kind.
    pub fn refused(status: u16, kind: &str, message: &str) -> Self {
        let (kind, message) = (kind.to_owned(), message.to_owned());
        Self { refusal: Some(Refusal { status, kind, message, retry_after: None, parameter: None }), ..Self::default() }
    }

    /// The refusal with `Retry-After`.
    pub fn retry_after(mut self, value: &str) -> Self {
        self.refusal.as_mut().expect("only a refusal says when to retry").retry_after = Some(value.to_owned());
        self
    }

    /// The refusal of this parameter.
    pub fn about(mut self, parameter: &str) -> Self {
        self.refusal.as_mut().expect("only a refusal names a parameter").parameter = Some(parameter.to_owned());
        self
    }

    /// Further words in one piece.
    pub fn and_text(self, text: &str) -> Self {
        self.step(Step::Text(text.to_owned()))
    }

    /// A further call. Its arguments come in parts of a few bytes.
    pub fn and_call(self, name: &str, arguments: &Value) -> Self {
        self.and_call_with(name, &arguments.to_string())
    }

    /// A further call with arguments that need not be JSON.
    pub fn and_call_with(mut self, name: &str, arguments: &str) -> Self {
        let index = self.calls;
        self.calls += 1;
        self.steps.push(Step::Call { index, name: name.to_owned() });
        let characters: Vec<_> = arguments.chars().collect();
        self.steps.extend(characters.chunks(7).map(|part| Step::Arguments { index, part: part.iter().collect() }));
        self
    }

    /// Silence for so long.
    pub fn and_pause(self, pause: Duration) -> Self {
        self.step(Step::Pause(pause))
    }

    /// Silence until the semaphore has a permit, which is used up.
    pub fn and_wait(self, gate: &Arc<Semaphore>) -> Self {
        self.step(Step::Gate(Arc::clone(gate)))
    }

    /// These bytes in the stream.
    pub fn and_raw(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Raw(bytes.into()))
    }

    /// An error in the stream, in place of the rest.
    pub fn and_error(self, kind: &str, message: &str) -> Self {
        self.step(Step::Error(kind.to_owned(), message.to_owned()))
    }

    /// Silence from here on; not even a status if this comes first.
    pub fn and_hang(self) -> Self {
        self.step(Step::Hang)
    }

    /// The connection is cut here.
    pub fn and_break(self) -> Self {
        self.step(Step::Break)
    }

    /// The answer is over here, without the words that end one.
    pub fn and_end(self) -> Self {
        self.step(Step::End)
    }

    /// Why the turn ends (`finish_reason`), where it is neither `stop` nor `tool_calls`.
    pub fn ending(mut self, reason: &str) -> Self {
        self.ending = Some(reason.to_owned());
        self
    }

    /// What the turn took, in tokens; else a fourth of the request's bytes, and one for each piece.
    pub fn usage(mut self, input: usize, output: usize) -> Self {
        self.usage = Some((input, output));
        self
    }

    /// Pauses before the first piece and before each further one.
    pub fn paced(mut self, first: Duration, further: Duration) -> Self {
        let steps = std::mem::take(&mut self.steps);
        let mut pauses = std::iter::once(first).chain(std::iter::repeat(further));
        for step in steps {
            if matches!(step, Step::Text(_) | Step::Call { .. } | Step::Arguments { .. }) {
                self.steps.extend(pauses.next().filter(|pause| !pause.is_zero()).map(Step::Pause));
            }
            self.steps.push(step);
        }
        self
    }

    /// The turn up to its `pieces`th piece of text.
    pub(super) fn cut(mut self, pieces: usize) -> Self {
        let texts = self.steps.iter().enumerate().filter(|(_, step)| matches!(step, Step::Text(_)));
        let length = pieces.checked_sub(1).map_or(Some(0), |last| texts.map(|(at, _)| at + 1).nth(last));
        self.steps.truncate(length.unwrap_or(self.steps.len()));
        self
    }

    pub(super) fn calls(&self) -> bool {
        self.calls > 0
    }

    /// What the turn took, of a request of so many bytes.
    pub(super) fn tokens(&self, request: usize) -> (usize, usize) {
        let pieces = self.steps.iter().filter(|step| matches!(step, Step::Text(_) | Step::Arguments { .. }));
        self.usage.unwrap_or((request / 4, pieces.count()))
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}
