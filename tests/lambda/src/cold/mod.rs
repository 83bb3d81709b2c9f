//! What functions cost: starts, events, processors and memory, beside the least function there can be and a rival in Python.

mod life;
mod report;

use std::path::{Path, PathBuf};

use serde_json::Value;

use self::life::Life;
pub use self::report::Report;
use crate::environment::Program;
use crate::installation::Installation;

/// What the functions are measured against.
pub const HELLO: &str = "hello";
/// The same list of documents, made in Python.
pub const RIVAL: &str = "rival";

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// How often each function is started.
    pub rounds: usize,
    /// How many events each of those takes once it is warm.
    pub events: u32,
}

/// What is measured: a program, and a request to it.
struct Subject {
    name: &'static str,
    request: &'static str,
    program: Program,
    event: Value,
    /// Whether the cache is to answer once it is warm.
    cached: bool,
}

/// Measures all functions one after another, and again in each round, so that what changes meanwhile changes all.
pub async fn measure(installation: &Installation, rival: Option<&Path>, effort: Effort) -> Report {
    let subjects = subjects(installation, rival);
    let mut report = Report::default();
    for round in 0..effort.rounds {
        eprint!("\rround {} of {}", round + 1, effort.rounds);
        for subject in &subjects {
            let life =
                Life::of(subject, effort.events).await.unwrap_or_else(|error| panic!("{}: {error}", subject.name));
            report.note(subject.name, subject.request, life);
        }
    }
    eprintln!();
    report
}

fn subjects(installation: &Installation, rival: Option<&Path>) -> Vec<Subject> {
    let function = |name, request, sample, cached| Subject {
        name,
        request,
        program: installation.program(name),
        event: installation.sample(sample),
        cached,
    };
    let mut upload = function("upload", "POST /documents/upload, known bytes", "upload/multipart", false);
    // With it the answer of the first would be repeated.
    for headers in ["headers", "multiValueHeaders"] {
        upload.event[headers].as_object_mut().unwrap().remove("Idempotency-Key");
    }
    // As on AWS, where there is no folder. Nobody asks for it.
    let mut documents = function("documents", "GET /documents, cached", "documents/list", true);
    let bucket = [("BLOBS_URL", "s3://ragline"), ("S3_ENDPOINT", "http://127.0.0.1:9")];
    documents.program = installation.program_with("documents", &bucket);
    let mut subjects = vec![
        function(HELLO, "GET /documents", "documents/list", false),
        function("health", "GET /health", "health/live", false),
        function("authorizer", "a token", "authorizer/token", false),
        documents,
        function("search", "POST /search, cached", "search/search", true),
        function("users", "GET /users/me", "users/me", false),
        upload,
        function("chat", "POST /chat, without a model", "chat/stream", false),
    ];
    subjects.extend(rival.map(|python| Subject {
        name: RIVAL,
        request: "GET /documents, cached",
        program: rival_program(installation, python),
        event: installation.sample("documents/list"),
        cached: true,
    }));
    subjects
}

/// The rival under Mangum, with the runtime that AWS gives to functions in Python.
fn rival_program(installation: &Installation, python: &Path) -> Program {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let path = [tests.join("lambda"), tests.join("load/rival")].map(|folder| folder.display().to_string()).join(":");
    Program {
        function: RIVAL.to_owned(),
        command: PathBuf::from(python),
        arguments: ["-m", "awslambdaric", "rival.handler"].map(str::to_owned).into(),
        variables: installation.variables(&[
            ("PYTHONPATH", &path),
            ("TABLE_NAME", "ragline"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ]),
        ..installation.program("documents")
    }
}
