//! Who owns what: the identifiers every storage key is made from, and the caller they are taken from.

mod ids;
mod principal;
mod role;

pub use ids::{CollectionId, ConversationId, DocumentId, InvalidId, KeyId, MessageId, TenantId, UserId};
pub use principal::Principal;
pub use role::Role;
