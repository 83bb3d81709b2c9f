//! What is seen of an installation: its log, the traces that it exports, and its failures in Sentry.

mod failures;
mod redaction;
mod traces;

/// The program that is watched.
const INSTANCE: &str = env!("CARGO_BIN_EXE_instance");
