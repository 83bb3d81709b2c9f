//! Reads originals in processes of their own: what a hostile file does to its reader, it does to nothing else.

mod child;
mod limits;

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use shared::documents::{ErrorCode, Failure};
use shared::error::Error;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::text::{MAX_BLOCKS, MAX_CHARACTERS, Text};

pub use child::extract_if_told;

/// The most bytes of a file. It is what an upload may have.
const MAX_FILE: u64 = 100 * 1024 * 1024;
/// The most bytes that a child may answer: the longest text in UTF-8, and what each block costs.
const MAX_ANSWER: u64 = (MAX_CHARACTERS * 4 + MAX_BLOCKS * 64) as u64;
/// How much a child may say about its end.
const MAX_LAST_WORDS: u64 = 4096;

/// What a child may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of memory beyond the program itself. With the worker's own it must fit what the function has.
    pub memory: u64,
    /// The time it may run, whether it computes or waits.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 320 * 1024 * 1024, time: Duration::from_mins(2) }
    }
}

/// Makes text of files. Each file is read by a child process with limits, in which parsers may crash, hang and swell.
#[derive(Debug, Clone)]
pub struct Extractor {
    program: PathBuf,
    limits: Limits,
}

/// Why there is no text.
#[derive(Debug)]
pub enum NotExtracted {
    /// It is the file's fault; trying again will not help.
    Failed(Failure),
    /// It is not; trying again may help.
    Retry(Error),
}

impl Extractor {
    /// Runs the program of this process again, which must call [`extract_if_told`] before anything else.
    pub fn of_this_program() -> Self {
        // What the link leads to may be replaced by another build meanwhile; the link itself is always this program.
        let link = cfg!(target_os = "linux").then(|| "/proc/self/exe".into());
        Self::of(link.unwrap_or_else(|| std::env::current_exe().unwrap_or_default()))
    }

    /// Runs this program, which must call [`extract_if_told`] before anything else.
    pub fn of(program: PathBuf) -> Self {
        Self { program, limits: Limits::default() }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The text of a file. Its name tells apart what its content cannot.
    pub async fn extract(&self, original: &Path, filename: &str) -> Result<Text, NotExtracted> {
        let retry = |error: io::Error| NotExtracted::Retry(Error::unavailable(format!("extraction: {error}")));
        let mut child = self.command(original, filename).spawn().map_err(retry)?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(retry(io::ErrorKind::BrokenPipe.into()));
        };
        let (mut answer, mut last_words) = (Vec::new(), Vec::new());
        let (mut stdout, mut stderr) = (stdout.take(MAX_ANSWER + 1), stderr.take(MAX_LAST_WORDS));
        let all = async {
            // One after the other would wait for ever where the child fills the other pipe first.
            tokio::try_join!(stdout.read_to_end(&mut answer), stderr.read_to_end(&mut last_words))?;
            if answer.len() as u64 > MAX_ANSWER {
                child.start_kill()?;
            }
            child.wait().await
        };
        let Ok(status) = tokio::time::timeout(self.limits.time, all).await else {
            child.kill().await.map_err(retry)?;
            return Err(NotExtracted::Failed(too_slow()));
        };
        Self::judge(status.map_err(retry)?, &answer, &last_words)
    }

    /// A child has nothing of ours that it could give away: no variables, so no credentials, and no open files.
    fn command(&self, original: &Path, filename: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            // Threads would each reserve a heap, which counts though nothing is in it.
            .env("MALLOC_ARENA_MAX", "1")
            .env("RAYON_NUM_THREADS", "1")
            .arg(child::ORDER)
            .arg(self.limits.memory.to_string())
            .arg(self.limits.time.as_secs().to_string())
            .args([original.as_os_str(), OsStr::new(filename)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    fn judge(status: ExitStatus, answer: &[u8], last_words: &[u8]) -> Result<Text, NotExtracted> {
        if answer.len() as u64 > MAX_ANSWER {
            return Err(NotExtracted::Failed(too_large()));
        }
        if status.success() {
            return match serde_json::from_slice::<Result<Text, Failure>>(answer) {
                Ok(Ok(text)) if text.is_whole() => Ok(text),
                Ok(Err(failure)) => Err(NotExtracted::Failed(failure)),
                _ => Err(NotExtracted::Failed(crashed())),
            };
        }
        let last_words = String::from_utf8_lossy(last_words);
        tracing::warn!(%status, last_words = last_words.trim(), "a file could not be read");
        Err(match limits::exceeded(status, &last_words) {
            Some(limits::Exceeded::Time) => NotExtracted::Failed(too_slow()),
            Some(limits::Exceeded::Memory) => NotExtracted::Failed(too_large()),
            None if status.code() == Some(child::NOT_THE_FILE) => {
                NotExtracted::Retry(Error::unavailable(format!("extraction: {}", last_words.trim())))
            }
            None => NotExtracted::Failed(crashed()),
        })
    }
}

fn too_slow() -> Failure {
    Failure {
        code: ErrorCode::TooLarge,
        detail: "The file takes too long to read; divide it, or save it in a simpler form.".into(),
    }
}

fn too_large() -> Failure {
    Failure {
        code: ErrorCode::TooLarge,
        detail: "The file takes too much memory to read; divide it, or save it in a simpler form.".into(),
    }
}

fn crashed() -> Failure {
    Failure { code: ErrorCode::Corrupt, detail: "The file is damaged or built in a way that cannot be read.".into() }
}
