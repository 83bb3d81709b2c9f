use serde::Deserialize;
use shared::documents::{Metadata, MetadataShape, filename, metadata};
use shared::error::Error;
use shared::tenancy::{CollectionId, DocumentId};
use utoipa::ToSchema;

use crate::MAX_FILE;

/// A file that is to be put into the storage by its owner.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UploadAnnouncement, example = json!({
    "filename": "report.pdf", "content_type": "application/pdf", "size_bytes": 48_000_000
}))]
pub(crate) struct Announcement {
    /// Without slashes and control characters.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^[^\x00-\x1f\x7f-\x9f/\\]*[^\s\x00-\x1f\x7f-\x9f/\\][^\x00-\x1f\x7f-\x9f/\\]*$"
    )]
    pub(crate) filename: String,
    /// The content decides how the file is read, not this.
    #[schema(min_length = 1, max_length = 255, pattern = "^[!-~]([ -~]*[!-~])?$")]
    pub(crate) content_type: String,
    /// Its size, which the upload must have.
    #[schema(minimum = 1, maximum = 104_857_600)]
    pub(crate) size_bytes: u64,
    /// Its SHA-256 in hexadecimal, which the upload must have. With it, bytes that are there already need no upload.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub(crate) sha256: Option<String>,
    /// Where it goes; `default`, or where the document is that it replaces.
    pub(crate) collection: Option<CollectionId>,
    #[schema(value_type = Option<MetadataShape>)]
    pub(crate) metadata: Option<Metadata>,
    /// The document that it is a new version of.
    pub(crate) document_id: Option<DocumentId>,
}

impl Announcement {
    /// What is wrong with it, if anything is.
    pub(crate) fn check(&self) -> Result<(), Error> {
        filename::check(&self.filename).map_err(|detail| Error::field("/filename", detail))?;
        let visible = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let kind = &self.content_type;
        if kind.is_empty() || kind.len() > 255 || !visible(kind) || kind.trim() != kind {
            return Err(Error::field("/content_type", "must have 1 to 255 visible characters of ASCII"));
        }
        if !(1..=MAX_FILE).contains(&self.size_bytes) {
            return Err(Error::field("/size_bytes", format!("must be a whole number from 1 to {MAX_FILE}")));
        }
        let hexadecimal = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if self.sha256.as_ref().is_some_and(|sha256| sha256.len() != 64 || !hexadecimal(sha256)) {
            return Err(Error::field("/sha256", "must have 64 hexadecimal digits in lower case"));
        }
        if let Some(entries) = &self.metadata {
            metadata::check(entries, "/metadata").map_err(Error::Invalid)?;
        }
        Ok(())
    }
}
