use std::path::PathBuf;

use ingest::Extractor;
use shared::config::{ConfigError, Variables};

use crate::folder::DataFolder;

/// How a local installation is to run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where everything is kept.
    pub data: DataFolder,
    /// The port of the API; 0 for a free one.
    pub port: u16,
    /// Who turns text into vectors.
    pub embedder: EmbedderChoice,
    /// Variables that win over the local ones, such as `LOG_LEVEL`. `TRUSTED_PROXY_HOPS` is the number of proxies in front,
    /// each of which adds to `X-Forwarded-For` (0). With `REDIS_URL` or `DYNAMODB_ENDPOINT` the
    /// installation uses that one and starts none of its own. `QUEUE_VISIBILITY_MS` is how long a message is hidden when it
    /// is received (30,000).
    pub variables: Variables,
    /// The program that reads files for the workers, see [`ingest::Extractor`].
    pub extractor: Extractor,
    /// Whether this process works queues off. Several that share a data folder may.
    pub workers: bool,
}

/// Who turns text into vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbedderChoice {
    /// all-MiniLM-L6-v2 in this process, with the weights in this folder.
    Minilm(PathBuf),
    /// The embedder that the variables name, as in the functions.
    Configured,
}

impl Settings {
    /// Reads `EMBEDDER` (`minilm` unless set) and `MINILM_FOLDER` (by default `models/all-MiniLM-L6-v2` in the data
    /// folder); the rest as the functions read it.
    pub fn from_variables(data: DataFolder, port: u16, variables: Variables) -> Result<Self, ConfigError> {
        let embedder = match variables.optional_text("EMBEDDER") {
            None | Some("minilm") => EmbedderChoice::Minilm(
                variables.optional_text("MINILM_FOLDER").map_or_else(|| data.minilm(), PathBuf::from),
            ),
            Some("bedrock" | "openai" | "hashing") => EmbedderChoice::Configured,
            Some(other) => {
                return Err(ConfigError::Wrong {
                    name: "EMBEDDER",
                    value: other.to_owned(),
                    allowed: "one of minilm, bedrock, openai, hashing".to_owned(),
                });
            }
        };
        Ok(Self { data, port, embedder, variables, extractor: Extractor::of_this_program(), workers: true })
    }
}
