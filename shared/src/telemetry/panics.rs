use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};

use futures::FutureExt;
use tracing::Span;

use crate::error::Error;

thread_local! {
    /// Where this thread panicked last, for whoever catches it.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic that ended a piece of work and not the process. What it says of itself is where it happened, and its message if that
/// stands in the program: any other is made of what was worked on, as the text of a document is where a string is cut within a
/// character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caught(String);

/// Does a piece of work, whose panic ends nothing else. What it worked on must not be used again.
pub fn caught<T>(work: impl Future<Output = T>) -> impl Future<Output = Result<T, Caught>> {
    // In a place of its own: work is large.
    AssertUnwindSafe(Box::pin(work)).catch_unwind().map(|done| done.map_err(Caught::of))
}

impl Caught {
    /// The panic that was just caught on this thread.
    #[expect(clippy::needless_pass_by_value, reason = "a panic is handed over once")]
    pub fn of(payload: Box<dyn Any + Send>) -> Self {
        let seen = LAST.with_borrow_mut(Option::take);
        Self(seen.unwrap_or_else(|| literal(payload.as_ref()).unwrap_or("without a message").to_owned()))
    }
}

impl fmt::Display for Caught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panic: {}", self.0)
    }
}

impl From<Caught> for Error {
    fn from(caught: Caught) -> Self {
        Self::internal(caught)
    }
}

/// Has panics say where they happened to whoever catches them, instead of printing it beside the log. Where nobody will,
/// outside of any request or message, a line says it.
pub(super) fn watch() {
    panic::set_hook(Box::new(|info| {
        let said = describe(info);
        if Span::current().is_none() {
            tracing::error!(error = said, "panicked");
        }
        LAST.with_borrow_mut(|last| *last = Some(said));
    }));
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(|| "somewhere".to_owned(), |at| format!("{}:{}", at.file(), at.line()));
    match literal(info.payload()) {
        Some(message) => format!("{place}: {message}"),
        None => place,
    }
}

/// The message of a panic if it stands in the program.
fn literal(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&'static str>().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_that_is_made_is_not_repeated() {
        let secret = "sk-planted".to_owned();
        let made = caught(async { panic!("cannot read {secret}") }).await;
        let made: Result<(), _> = made;
        assert!(!made.unwrap_err().to_string().contains("planted"));
        let literal: Result<(), _> = caught(async { panic!("never") }).await;
        assert!(literal.unwrap_err().to_string().ends_with("never"));
        assert_eq!(caught(async { 7 }).await, Ok(7));
    }
}
