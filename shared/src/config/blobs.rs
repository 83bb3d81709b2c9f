use std::path::PathBuf;

use super::{ConfigError, Variables};

/// Where the documents' bytes are kept.
#[derive(Debug, Clone)]
pub struct BlobsConfig {
    /// `BLOBS_URL`: `s3://<bucket>`, or `file:///<folder>` for one machine. Required.
    pub location: BlobsLocation,
}

/// A kind of object storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobsLocation {
    /// An S3 bucket.
    Bucket(String),
    /// A folder of this machine.
    Folder(PathBuf),
}

impl BlobsConfig {
    /// Reads the variable named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        const ALLOWED: &str = "s3://<bucket> or file:///<folder>";
        let value = variables.required_text("BLOBS_URL", ALLOWED)?;
        let wrong = || ConfigError::Wrong { name: "BLOBS_URL", value: value.clone(), allowed: ALLOWED.to_owned() };
        let url = url::Url::parse(&value).map_err(|_| wrong())?;
        let location = match (url.scheme(), url.host_str()) {
            ("s3", Some(bucket)) => BlobsLocation::Bucket(bucket.to_owned()),
            ("file", _) => BlobsLocation::Folder(url.to_file_path().map_err(|()| wrong())?),
            _ => return Err(wrong()),
        };
        Ok(Self { location })
    }
}
