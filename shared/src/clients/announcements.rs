use std::path::{Path, PathBuf};
use std::{fs, io};

use object_store::path::Path as ObjectPath;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use ulid::Ulid;

/// The folder, beside the objects, that holds one file for each new object.
pub const ANNOUNCEMENTS_FOLDER: &str = "announcements";

/// What a bucket does by itself, a folder does with these: each new object is announced by a file with the notification
/// that S3 would send. The file stays until somebody has worked it off, so no object is forgotten over a restart.
#[derive(Debug, Clone)]
pub(super) struct Announcements {
    folder: PathBuf,
}

impl Announcements {
    pub(super) fn open(storage: &Path) -> io::Result<Self> {
        let folder = storage.join(ANNOUNCEMENTS_FOLDER);
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// Announces an object that is stored. The file appears under its final name when it is complete.
    pub(super) fn announce(&self, object: &ObjectPath, size: usize) -> Result<(), String> {
        let name = Ulid::generate().to_string();
        let (draft, file) = (self.folder.join(format!("{name}.part")), self.folder.join(format!("{name}.json")));
        let time = OffsetDateTime::now_utc().format(&Rfc3339).map_err(|error| error.to_string())?;
        let notification = serde_json::json!({
            "Records": [{
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "local",
                "eventTime": time,
                "eventName": "ObjectCreated:Put",
                "userIdentity": {"principalId": "local"},
                "requestParameters": {"sourceIPAddress": "127.0.0.1"},
                "responseElements": {},
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "ingest",
                    "bucket": {"name": "local", "ownerIdentity": {"principalId": "local"}, "arn": "arn:aws:s3:::local"},
                    "object": {"key": object.as_ref(), "size": size, "sequencer": name}
                }
            }]
        });
        fs::write(&draft, notification.to_string())
            .and_then(|()| fs::rename(&draft, &file))
            .map_err(|error| format!("announcement of an object: {error}"))
    }
}
