//! Things beside the project that some tests need. Where they are absent, such a test says so and passes.

use std::path::{Path, PathBuf};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file of the project.
pub fn project_file(path: &str) -> String {
    std::fs::read_to_string(project().join(path)).unwrap()
}

/// The sample documents beside the project.
pub fn documents() -> Option<PathBuf> {
    present(project().join("../shared/data/documents"), "the sample documents")
}

/// The weights that `make test` fetches.
pub fn weights() -> Option<PathBuf> {
    present(project().join(".ragline/models/all-MiniLM-L6-v2"), "the weights of all-MiniLM-L6-v2")
}

fn present(path: PathBuf, what: &str) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {what} are not in {}", path.display());
    None
}
