use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a user may do in a tenant. Each role may do all that the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads, searches and chats.
    Viewer,
    /// Also uploads, changes and deletes documents.
    Editor,
    /// Also manages collections, users and keys.
    Admin,
    /// Also manages admins.
    Owner,
    /// Runs the platform: also describes tenants.
    Operator,
}

impl Role {
    /// The permissions of the role, as `GET /users/me` lists them.
    pub fn permissions(self) -> &'static [&'static str] {
        match self {
            Self::Viewer => &["read", "search", "chat"],
            Self::Editor => &["read", "search", "chat", "write"],
            Self::Admin | Self::Owner | Self::Operator => &["read", "search", "chat", "write", "manage"],
        }
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "editor" => Ok(Self::Editor),
            "admin" => Ok(Self::Admin),
            "owner" => Ok(Self::Owner),
            "operator" => Ok(Self::Operator),
            _ => Err(()),
        }
    }
}
