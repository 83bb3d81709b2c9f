use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::{ConfigError, Variables};

/// Where the documents' bytes are kept, and how they are handed out.
#[derive(Debug, Clone)]
pub struct BlobsConfig {
    /// `BLOBS_URL`: `s3://<bucket>`, or `file:///<folder>` for one machine. Required.
    pub location: BlobsLocation,
    /// `S3_ENDPOINT`: another address of buckets than the region's, for an emulator.
    pub endpoint: Option<Url>,
    /// `BLOBS_PUBLIC_URL`: where the objects of a folder are served to who has a signed address. A bucket needs none.
    pub public_url: Option<Url>,
    /// `CONTENT_URL_SECONDS`: how long such an address is good (300).
    pub url_life: Duration,
    /// `UPLOAD_URL_SECONDS`: how long the bytes of a document may be put at the address that was made for them (3,600).
    pub upload_url_life: Duration,
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
    /// Reads the variables named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        const ALLOWED: &str = "s3://<bucket> or file:///<folder>";
        let value = variables.required_text("BLOBS_URL", ALLOWED)?;
        let wrong = || ConfigError::Wrong { name: "BLOBS_URL", value: value.clone(), allowed: ALLOWED.to_owned() };
        let url = Url::parse(&value).map_err(|_| wrong())?;
        let location = match (url.scheme(), url.host_str()) {
            ("s3", Some(bucket)) => BlobsLocation::Bucket(bucket.to_owned()),
            ("file", _) => BlobsLocation::Folder(url.to_file_path().map_err(|()| wrong())?),
            _ => return Err(wrong()),
        };
        Ok(Self {
            location,
            endpoint: variables.optional_url("S3_ENDPOINT", &["http", "https"])?,
            public_url: variables.optional_url("BLOBS_PUBLIC_URL", &["http", "https"])?,
            // S3 signs for a week at most.
            url_life: Duration::from_secs(variables.number("CONTENT_URL_SECONDS", 300, 1..=604_800)?),
            upload_url_life: Duration::from_secs(variables.number("UPLOAD_URL_SECONDS", 3_600, 1..=604_800)?),
        })
    }
}
