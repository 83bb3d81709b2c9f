use std::path::PathBuf;

use url::Url;

use super::{ConfigError, Variables};

/// Where the messages of a queue are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueConfig {
    /// An SQS queue, by its address.
    Sqs(Url),
    /// A folder of this machine.
    Folder(PathBuf),
}

impl QueueConfig {
    /// Reads the variable `name`, such as `INGEST_QUEUE_URL`: the address of an SQS queue, which is
    /// `https://sqs.<region>.amazonaws.com/<account>/<name>`, or `file:///<folder>` for one machine. Required.
    pub fn from_variables(variables: &Variables, name: &'static str) -> Result<Self, ConfigError> {
        const ALLOWED: &str = "https://sqs.<region>.amazonaws.com/<account>/<name> or file:///<folder>";
        let value = variables.required_text(name, ALLOWED)?;
        let wrong = || ConfigError::Wrong { name, value: value.clone(), allowed: ALLOWED.to_owned() };
        let url = Url::parse(&value).map_err(|_| wrong())?;
        match url.scheme() {
            "file" => Ok(Self::Folder(url.to_file_path().map_err(|()| wrong())?)),
            // An emulator may speak plain HTTP.
            "https" | "http" if url.path_segments().is_some_and(|segments| segments.count() == 2) => Ok(Self::Sqs(url)),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<QueueConfig, ConfigError> {
        QueueConfig::from_variables(&Variables::from_pairs([("INGEST_QUEUE_URL", value)]), "INGEST_QUEUE_URL")
    }

    #[test]
    fn a_queue_is_an_address_of_sqs_or_a_folder() {
        let sqs = "https://sqs.us-east-1.amazonaws.com/123456789012/ragline-IngestQueue-a1B2";
        assert_eq!(read(sqs), Ok(QueueConfig::Sqs(sqs.parse().unwrap())));
        assert_eq!(read("file:///data/queues/ingest"), Ok(QueueConfig::Folder("/data/queues/ingest".into())));
        for wrong in ["", "ingest", "s3://bucket", "https://sqs.us-east-1.amazonaws.com", "file://host/x"] {
            assert!(read(wrong).unwrap_err().to_string().contains("INGEST_QUEUE_URL"), "{wrong}");
        }
    }
}
