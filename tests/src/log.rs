use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStderr;
use tokio::task::JoinSet;

/// The log of a process, with `LOG_FORMAT=json`.
pub struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    _reader: JoinSet<()>,
}

impl Log {
    pub(crate) fn read(errors: ChildStderr) -> Self {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let (mut reader, kept) = (JoinSet::new(), Arc::clone(&lines));
        reader.spawn(async move {
            let mut errors = BufReader::new(errors).lines();
            while let Ok(Some(line)) = errors.next_line().await {
                kept.lock().unwrap().push(line);
            }
        });
        Self { lines, _reader: reader }
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The same as JSON, for which each line must be.
    pub fn values(&self) -> Vec<Value> {
        let read = |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.lines().iter().map(read).collect()
    }
}
