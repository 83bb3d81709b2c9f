//! Reading of files as the worker does it, and what it takes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ingest::{Extractor, Limits, NotExtracted, Text, split};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};
use shared::documents::{ErrorCode, Failure};
use shared::embed::HashingEmbedder;

/// The program `extract`, which is built with the tests and lies above them.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().skip(1).map(|folder| folder.join("extract")).find(|program| program.is_file());
    program.expect("the program `extract` is built")
}

/// Reads files by the program `extract`.
pub fn extractor() -> Extractor {
    Extractor::of(program())
}

/// What a file says, or why it cannot be read.
pub async fn read(file: &Path, filename: &str) -> Result<Text, Failure> {
    read_by(&extractor(), file, filename).await
}

async fn read_by(extractor: &Extractor, file: &Path, filename: &str) -> Result<Text, Failure> {
    extractor.extract(file, filename).await.map_err(|reason| match reason {
        NotExtracted::Failed(failure) => failure,
        NotExtracted::Retry(error) => panic!("{filename}: {error}"),
    })
}

/// What became of a file in a worker of its own.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Why it failed, if it did.
    pub failure: Option<(ErrorCode, String)>,
    /// The characters of its text.
    pub characters: usize,
    /// The number of its passages.
    pub passages: usize,
    /// The most memory that the worker and its child had resident, in bytes, as if at the same time.
    pub resident: u64,
    /// The processor time that the child took, in seconds.
    pub seconds: i64,
}

/// Reads and cuts a file in a process that does nothing else, within a time.
pub fn measure(file: &Path, filename: &str, time: Duration) -> Measured {
    let seconds = time.as_secs().to_string();
    let output = Command::new(program()).arg(file).args([filename, &seconds]).output().unwrap();
    assert!(output.status.success(), "{filename}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The part of that process.
pub async fn read_measured(file: &Path, filename: &str, time: Duration) -> Measured {
    let text = read_by(&extractor().with_limits(Limits { time, ..Limits::default() }), file, filename).await;
    let characters = text.as_ref().map_or(0, |text| text.plain().chars().count());
    let passages = text.and_then(|text| split(&text, filename, &HashingEmbedder::new(64)));
    let child = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let resident = own_peak() + child.max_rss().unsigned_abs() * RUSAGE_UNIT;
    Measured {
        characters,
        passages: passages.as_ref().map_or(0, Vec::len),
        failure: passages.err().map(|failure| (failure.code, failure.detail)),
        resident,
        seconds: child.user_time().tv_sec() + child.system_time().tv_sec(),
    }
}

/// Linux tells kilobytes, macOS bytes.
const RUSAGE_UNIT: u64 = if cfg!(target_os = "linux") { 1024 } else { 1 };

/// What `getrusage` tells of a process itself may be of the one that started it.
fn own_peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    peak.map_or_else(
        || getrusage(UsageWho::RUSAGE_SELF).unwrap().max_rss().unsigned_abs() * RUSAGE_UNIT,
        |peak| peak * 1024,
    )
}
