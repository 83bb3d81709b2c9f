//! What the worker `ingest` is asked to do beside what the storage announces: messages of its queue, as JSON.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clients::{BlobKey, Message};
use crate::error::Error;
use crate::tenancy::{CollectionId, DocumentId, TenantId};

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// See whether the bytes of a version are there: work on it then, and give it up if the time for them is over.
    Expire(Awaited),
    /// Find the tenants whose documents are to be re-embedded.
    Reindex(Survey),
    /// Re-embed the documents of a tenant.
    Reembed(Reembedding),
}

/// How far the tenants are found. `{}` begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Survey {
    /// The last item that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<(String, String)>,
}

/// How far the documents of a tenant are re-embedded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reembedding {
    /// Whose documents.
    pub tenant: TenantId,
    /// When it began, in seconds since 1970. Workers that began later know the edition.
    pub since: i64,
    /// The collection in work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<CollectionId>,
    /// The last of its documents that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<DocumentId>,
    /// Collections with a text that the model refuses: they stay with the model before.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub refused: BTreeSet<CollectionId>,
}

/// A version whose bytes are awaited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// Whose document it is.
    pub tenant: TenantId,
    /// The document.
    pub document: DocumentId,
    /// Its version.
    pub version: u32,
    /// When the time is over, in seconds since 1970.
    pub expires_at: i64,
}

impl Awaited {
    /// Where its bytes are to be.
    pub fn key(&self) -> BlobKey {
        BlobKey { tenant: self.tenant.clone(), document: self.document, version: self.version }
    }

    /// The message that asks for it, delayed until it can be done or for as long as a message can be.
    pub fn message(&self, now: i64) -> Result<Message, Error> {
        let seconds = u64::try_from(self.expires_at - now).unwrap_or(0);
        Task::Expire(self.clone()).message(&self.tenant, Duration::from_secs(seconds))
    }
}

impl Task {
    /// Reads a message; `None` if it is none of these.
    pub fn read(body: &str) -> Option<Self> {
        serde_json::from_str(body).ok()
    }

    /// The message that asks for it, on behalf of a tenant.
    fn message(&self, tenant: &TenantId, delay: Duration) -> Result<Message, Error> {
        let body = serde_json::to_string(self).map_err(Error::internal)?;
        Ok(Message { delay, ..Message::new(tenant, body) })
    }

    /// The message that asks for it, for nobody who waits. All of these are one group, however many tenants they concern: a fair
    /// queue delivers the files of everybody before a group that keeps workers busy.
    pub fn in_background(&self, delay: Duration) -> Result<Message, Error> {
        self.message(&"reindex".parse().map_err(Error::internal)?, delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_read_as_it_was_sent_and_other_messages_are_none() {
        let awaited = Awaited {
            tenant: "acme".parse().unwrap(),
            document: "01J9ZQ3W6V8Y0ABCDEFGHJKMNP".parse().unwrap(),
            version: 2,
            expires_at: 1_795_000_100,
        };
        let message = awaited.message(1_795_000_000).unwrap();
        assert_eq!(Task::read(&message.body), Some(Task::Expire(awaited.clone())));
        assert_eq!((message.delay.as_secs(), message.group.as_str()), (100, "acme"));
        assert_eq!(awaited.message(1_795_000_200).unwrap().delay.as_secs(), 0);
        assert_eq!(Task::read(r#"{"reindex":{}}"#), Some(Task::Reindex(Survey::default())));
        for other in ["", "{}", "[]", r#"{"Records":[]}"#, r#"{"expire":{"tenant":"acme"}}"#, r#"{"other":{}}"#] {
            assert_eq!(Task::read(other), None, "{other}");
        }
    }
}
