//! The program that reads files for the workers of the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    ingest::extract_if_told().unwrap_or(ExitCode::FAILURE)
}
