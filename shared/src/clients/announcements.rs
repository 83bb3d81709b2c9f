use std::io;
use std::path::Path;
use std::time::Duration;

use object_store::path::Path as ObjectPath;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use ulid::Ulid;

use super::queue::FolderQueue;

/// The folder, beside the objects, that is the queue of new objects.
pub const ANNOUNCEMENTS_FOLDER: &str = "announcements";

/// What a bucket does by itself, a folder does with these: for each new object, the notification that S3 would send goes to
/// a queue. As with S3, it belongs to no group.
#[derive(Debug, Clone)]
pub(super) struct Announcements {
    queue: FolderQueue,
}

impl Announcements {
    pub(super) fn open(storage: &Path) -> io::Result<Self> {
        Ok(Self { queue: FolderQueue::open(&storage.join(ANNOUNCEMENTS_FOLDER))? })
    }

    /// Announces an object that is stored.
    pub(super) fn announce(&self, object: &ObjectPath, size: usize) -> Result<(), String> {
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
                    "object": {"key": object.as_ref(), "size": size, "sequencer": Ulid::generate().to_string()}
                }
            }]
        });
        self.queue
            .send(None, &notification.to_string(), Duration::ZERO)
            .map_err(|error| format!("announcement of an object: {error}"))
    }
}
