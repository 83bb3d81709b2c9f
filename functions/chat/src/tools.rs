//! What a model may call. None of it changes anything.

use serde_json::Value;

/// A tool as models are told of it.
#[derive(Debug)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// What it does, for the model.
    pub description: &'static str,
    /// The JSON schema of its arguments.
    pub parameters: fn() -> Value,
}
