use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::tenancy::{KeyId, Role, TenantId, UserId};

/// Whom a credential speaks for. What they may do is decided at the door, by what the tenant keeps of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The tenant whose data the request may touch.
    pub tenant: TenantId,
    /// The user; for an API key the one who made it.
    pub user: UserId,
    /// What was shown.
    pub credential: Credential,
    /// When it ends; a token always does.
    pub expires_at: Option<OffsetDateTime>,
}

/// What a caller showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A token of the issuer, with what it claims.
    Token(Claims),
    /// An API key.
    Key(KeyId),
}

impl Identity {
    /// The API key, if it was one.
    pub fn key(&self) -> Option<KeyId> {
        match self.credential {
            Credential::Token(_) => None,
            Credential::Key(id) => Some(id),
        }
    }
}

/// What a token says of its user beside who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// What the user may do, unless the tenant says otherwise.
    pub role: Role,
    /// The e-mail address.
    pub email: Option<String>,
    /// The display name.
    pub name: Option<String>,
}
