//! Who owns what and who may do what: the identifiers every storage key is made from, roles and permissions, and the caller
//! they are taken from.

mod access;
mod ids;
mod permission;
mod principal;
mod role;

pub use access::{Access, KeyLimits, Memberships, readable};
pub use ids::{
    AuditId, CollectionId, ConversationId, DocumentId, EventId, InvalidId, KeyId, MessageId, RegistrationId, TenantId,
    UserId, WebhookId,
};
pub use permission::Permission;
pub use principal::{Principal, Subject};
pub use role::Role;
