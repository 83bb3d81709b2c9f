use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Permission;

/// What a user may do in a tenant. Each role may do all that the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads, searches and chats.
    Viewer,
    /// Also uploads, changes and deletes documents.
    Editor,
    /// Also manages collections, viewers, editors and keys.
    Admin,
    /// Also manages admins and owners.
    Owner,
    /// Runs the platform: also describes tenants.
    Operator,
}

impl Role {
    /// The permissions of the role.
    pub fn permissions(self) -> Vec<Permission> {
        Permission::ALL.into_iter().filter(|permission| self.may(*permission)).collect()
    }

    /// Whether the role has a permission.
    pub fn may(self, permission: Permission) -> bool {
        self >= permission.lowest_role()
    }

    /// Whether somebody of this role may give, take or change `other`. Admins manage those below them; owners manage each
    /// other too. Nobody makes an operator but the deployment.
    pub fn manages(self, other: Self) -> bool {
        match self {
            Self::Viewer | Self::Editor => false,
            Self::Admin => other < Self::Admin,
            Self::Owner | Self::Operator => other <= Self::Owner,
        }
    }

    /// The word for it in JSON and in claims.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
            Self::Owner => "owner",
            Self::Operator => "operator",
        }
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Viewer, Self::Editor, Self::Admin, Self::Owner, Self::Operator]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_manages_who_is_above_them() {
        use Role::{Admin, Editor, Operator, Owner, Viewer};
        let managed = |role: Role| [Viewer, Editor, Admin, Owner, Operator].map(|other| role.manages(other));
        assert_eq!(managed(Viewer), [false; 5]);
        assert_eq!(managed(Editor), [false; 5]);
        assert_eq!(managed(Admin), [true, true, false, false, false]);
        assert_eq!(managed(Owner), [true, true, true, true, false]);
        assert_eq!(managed(Operator), [true, true, true, true, false]);
    }
}
