use serde::Serialize;
use utoipa::ToSchema;

use super::Role;

/// What somebody may be allowed to do in a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// See documents and collections.
    Read,
    /// Search them.
    Search,
    /// Ask about them.
    Chat,
    /// Upload, change and delete documents.
    Write,
    /// Manage collections, users and keys; see usage and the audit trail.
    Manage,
    /// Run the platform: plans and limits of all tenants.
    Operate,
}

impl Permission {
    /// All there are.
    pub const ALL: [Self; 6] = [Self::Read, Self::Search, Self::Chat, Self::Write, Self::Manage, Self::Operate];

    /// The lowest role that has it.
    pub fn lowest_role(self) -> Role {
        match self {
            Self::Read | Self::Search | Self::Chat => Role::Viewer,
            Self::Write => Role::Editor,
            Self::Manage => Role::Admin,
            Self::Operate => Role::Operator,
        }
    }
}
