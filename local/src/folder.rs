use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use shared::clients::{ANNOUNCEMENTS_FOLDER, FolderQueue};
use shared::tasks::{Survey, Task};

use crate::workers::INGEST_FOLDER;

/// Where everything of a local installation is kept.
#[derive(Debug, Clone)]
pub struct DataFolder(PathBuf);

impl DataFolder {
    /// The folder, made if it is not there.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        std::fs::create_dir_all(&path)?;
        // Absolute, because addresses of files are.
        Ok(Self(std::fs::canonicalize(path)?))
    }

    /// The tables.
    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("dynamodb.sqlite")
    }

    /// The originals.
    pub(crate) fn objects(&self) -> PathBuf {
        self.0.join("objects")
    }

    /// A queue of messages.
    pub(crate) fn queue(&self, name: &str) -> PathBuf {
        self.0.join("queues").join(name)
    }

    /// All queues there are, that of the new objects among them.
    pub fn queues(&self) -> io::Result<Vec<FolderQueue>> {
        let mut folders = vec![self.arrivals()];
        for entry in std::fs::read_dir(self.0.join("queues")).into_iter().flatten() {
            folders.push(entry?.path());
        }
        folders.iter().map(|folder| FolderQueue::open(folder)).collect()
    }

    /// Has documents re-embedded that lack vectors of the model in use, by the server that works on the folder or will.
    pub fn reindex(&self) -> io::Result<()> {
        let body = serde_json::to_string(&Task::Reindex(Survey::default()))?;
        FolderQueue::open(&self.queue(INGEST_FOLDER))?.send(None, &body, Duration::ZERO)
    }

    /// The queue of the new objects.
    pub(crate) fn arrivals(&self) -> PathBuf {
        self.objects().join(ANNOUNCEMENTS_FOLDER)
    }

    /// The key that local tokens are signed with.
    pub(crate) fn issuer_key(&self) -> PathBuf {
        self.0.join("issuer.key")
    }

    /// What cursors, addresses and kept answers are signed with.
    pub(crate) fn signing_secret(&self) -> PathBuf {
        self.0.join("signing.secret")
    }

    /// How far the stream of the main table was worked off.
    pub(crate) fn stream_position(&self) -> PathBuf {
        self.0.join("stream.position")
    }

    /// Which embedding models it has vectors of.
    pub(crate) fn models_memory(&self) -> PathBuf {
        self.0.join("models.json")
    }

    /// The variables of the functions under `cargo lambda watch`.
    pub(crate) fn watch_variables(&self) -> PathBuf {
        self.0.join("watch.env")
    }

    /// The weights that `make run` puts there.
    pub(crate) fn minilm(&self) -> PathBuf {
        self.0.join("models").join("all-MiniLM-L6-v2")
    }
}
