use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use ulid::Ulid;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// An identifier that breaks the rules of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(&'static str);

const MADE_RULE: &str = "must be a ULID: 26 characters of Crockford's base 32";
/// The first character holds three bits only.
const MADE_PATTERN: &str = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$";

/// How an identifier is described.
fn text(rule: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(rule))
}

/// Defines an identifier that a client or an identity provider chose: checked once, when it is made, so that no
/// identifier can hold the `#`, `/`, `{` or `}` that storage keys, object paths and hash tags are built with.
macro_rules! chosen_id {
    ($(#[$doc:meta])* $name:ident, $max:literal, $allowed:expr, $pattern:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let allowed: fn(u8) -> bool = $allowed;
                if !text.is_empty() && text.len() <= $max && text.bytes().all(allowed) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId($rule))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl ToSchema for $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                text($rule).min_length(Some(1)).max_length(Some($max)).pattern(Some($pattern)).build().into()
            }
        }
    };
}

/// Defines an identifier that Ragline chose: a ULID, so that identifiers sort by the time they were made.
macro_rules! made_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Ulid);

        impl $name {
            /// A new identifier, later than all that this machine made in earlier milliseconds.
            #[expect(clippy::new_without_default, reason = "every call gives another value")]
            pub fn new() -> Self {
                Self(Ulid::generate())
            }

            /// A new identifier that sorts behind this one, whatever the clocks of those who made them say.
            #[must_use]
            pub fn after(self) -> Self {
                let new = Self::new();
                if new > self { new } else { Self(self.0.increment().unwrap_or_else(|next| next)) }
            }

            /// When it was made.
            pub fn made_at(self) -> SystemTime {
                self.0.datetime()
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                match Ulid::from_string(text) {
                    // The parser takes lower case too; one spelling only, or one resource had two keys.
                    Ok(id) if id.to_string() == text => Ok(Self(id)),
                    _ => Err(InvalidId(MADE_RULE)),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl ToSchema for $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                text(MADE_RULE).min_length(Some(26)).max_length(Some(26)).pattern(Some(MADE_PATTERN)).build().into()
            }
        }
    };
}

chosen_id!(
    /// A tenant, as the verified token names it.
    TenantId,
    64,
    |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'),
    "^[A-Za-z0-9_-]{1,64}$",
    "must be 1 to 64 letters, digits, '-' or '_'"
);

chosen_id!(
    /// A user of one tenant: the subject of the verified token.
    UserId,
    128,
    |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@' | b'|' | b':' | b'+' | b'='),
    "^[A-Za-z0-9_.@|:+=-]{1,128}$",
    "must be 1 to 128 letters, digits or characters of '-_.@|:+='"
);

chosen_id!(
    /// A collection of documents, the unit of permission; chosen by the client.
    CollectionId,
    64,
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'),
    "^[a-z0-9_-]{1,64}$",
    "must be 1 to 64 lower-case letters, digits, '-' or '_'"
);

chosen_id!(
    /// A webhook of one tenant; chosen by the client.
    WebhookId,
    64,
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'),
    "^[a-z0-9_-]{1,64}$",
    "must be 1 to 64 lower-case letters, digits, '-' or '_'"
);

impl CollectionId {
    /// The collection every tenant has: where a document goes when the upload names none.
    pub fn default_collection() -> Self {
        Self("default".to_owned())
    }
}

made_id!(
    /// A document of one tenant.
    DocumentId
);
made_id!(
    /// A conversation of one user.
    ConversationId
);
made_id!(
    /// A message of one conversation.
    MessageId
);
made_id!(
    /// An entry of one tenant's audit trail.
    AuditId
);
made_id!(
    /// An API key of one tenant; it names the key, and is no secret.
    KeyId
);
made_id!(
    /// What a webhook's address was registered as: another one each time a webhook is made, also under an id that was there
    /// before.
    RegistrationId
);
made_id!(
    /// Something that webhooks are told of; receivers know it as `webhook-id`.
    EventId
);

impl EventId {
    /// The identifier of what happened at this time and is described by `parts`: the same parts are the same event.
    pub fn of(at: OffsetDateTime, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let random = digest.iter().take(10).fold(0, |number, byte| number << 8 | u128::from(*byte));
        let milliseconds = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        Self(Ulid::from_parts(milliseconds, random))
    }

    /// A number from 0 to 1, always the same for this event, by which waits differ between events.
    pub fn share(self) -> f64 {
        f64::from(u16::try_from(self.0.random() & 0xffff).unwrap_or_default()) / f64::from(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_identifier_can_forge_a_key() {
        for hostile in ["", "a#b", "a/b", "a{b}", "..", "a b", "a\nb", "ü", "T#x", &"x".repeat(200)] {
            assert!(hostile.parse::<TenantId>().is_err(), "tenant {hostile:?}");
            assert!(hostile.parse::<CollectionId>().is_err(), "collection {hostile:?}");
            assert!(hostile.parse::<WebhookId>().is_err(), "webhook {hostile:?}");
            assert!(hostile.parse::<DocumentId>().is_err(), "document {hostile:?}");
        }
        for hostile in ["", "a#b", "a/b", "a{b", "a b", "ü", &"x".repeat(200)] {
            assert!(hostile.parse::<UserId>().is_err(), "user {hostile:?}");
        }
    }

    #[test]
    fn identifiers_of_usual_providers_are_taken() {
        assert!("org_AbC123".parse::<TenantId>().is_ok());
        assert!("0b2f1c1e-9d4e-4a51-8f4e-6a2c0d1e2f3a".parse::<TenantId>().is_ok());
        assert!("google-oauth2|1034567".parse::<UserId>().is_ok());
        assert!("ada@example.com".parse::<UserId>().is_ok());
    }

    #[test]
    fn the_same_parts_are_the_same_event_and_later_events_sort_behind() {
        let at = time::macros::datetime!(2026-11-24 12:00 UTC);
        let event = EventId::of(at, &["acme", "1", "document.ready"]);
        assert_eq!(EventId::of(at, &["acme", "1", "document.ready"]), event);
        for other in
            [&["acme", "2", "document.ready"], &["acme1", "", "document.ready"], &["other", "1", "document.ready"]]
        {
            assert_ne!(EventId::of(at, other), event, "{other:?}");
        }
        assert!(EventId::of(at + time::Duration::SECOND, &["acme", "0"]) > event);
        assert!((0.0..=1.0).contains(&event.share()));
        assert!(event.to_string().parse::<EventId>().is_ok());
    }

    #[test]
    fn a_made_identifier_has_one_spelling() {
        let id = DocumentId::new().to_string();
        assert!(id.parse::<DocumentId>().is_ok());
        assert!(id.to_lowercase().parse::<DocumentId>().is_err());
    }
}
