use std::io;
use std::process::ExitStatus;

use serde::Deserialize;

/// Why an event has no answer.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// There is no such program, or its process is gone.
    #[error("the process: {0}")]
    Process(#[from] io::Error),
    /// It ended before it asked for an event.
    #[error("the function ended while it started: {0}")]
    Init(ExitStatus),
    /// It did not ask for an event in time.
    #[error("the function did not start in time")]
    InitTimedOut,
    /// It said that it failed.
    #[error("the function failed: {0:?}")]
    Failed(Failure),
    /// It ended before it answered.
    #[error("the function ended before it answered: {0}")]
    Ended(ExitStatus),
    /// It did not answer in time, and was ended.
    #[error("the function did not answer in time")]
    TimedOut,
    /// It said what no answer is.
    #[error("the answer is none: {0}")]
    Malformed(String),
    /// All its environments are busy.
    #[error("all environments are busy")]
    Throttled,
}

/// What a function says of its failure.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The name of the kind of error.
    #[serde(default)]
    pub error_type: String,
    /// For people.
    #[serde(default)]
    pub error_message: String,
}
