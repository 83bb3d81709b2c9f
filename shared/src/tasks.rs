//! What the worker `ingest` is asked to do beside what the storage announces: messages of its queue, as JSON.

use serde::{Deserialize, Serialize};

use crate::clients::Message;
use crate::error::Error;
use crate::tenancy::{DocumentId, TenantId};

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// Give up a version whose bytes have not arrived when the time for them is over.
    Expire(Awaited),
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

impl Task {
    /// Reads a message; `None` if it is none of these.
    pub fn read(body: &str) -> Option<Self> {
        serde_json::from_str(body).ok()
    }

    /// The message that asks for it, delayed until it can be done or for as long as a message can be.
    pub fn message(&self, now: i64) -> Result<Message, Error> {
        let body = serde_json::to_string(self).map_err(Error::internal)?;
        let Self::Expire(awaited) = self;
        let seconds = u64::try_from(awaited.expires_at - now).unwrap_or(0);
        let delay = std::time::Duration::from_secs(seconds);
        Ok(Message { delay, ..Message::new(&awaited.tenant, body) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_read_as_it_was_sent_and_other_messages_are_none() {
        let task = Task::Expire(Awaited {
            tenant: "acme".parse().unwrap(),
            document: "01J9ZQ3W6V8Y0ABCDEFGHJKMNP".parse().unwrap(),
            version: 2,
            expires_at: 1_795_000_100,
        });
        let message = task.message(1_795_000_000).unwrap();
        assert_eq!(Task::read(&message.body), Some(task.clone()));
        assert_eq!((message.delay.as_secs(), message.group.as_str()), (100, "acme"));
        assert_eq!(task.message(1_795_000_200).unwrap().delay.as_secs(), 0);
        for other in ["", "{}", "[]", r#"{"Records":[]}"#, r#"{"expire":{"tenant":"acme"}}"#, r#"{"other":{}}"#] {
            assert_eq!(Task::read(other), None, "{other}");
        }
    }
}
