use super::{Role, TenantId, UserId};
use crate::error::Error;

/// The verified caller of a request. Only [`crate::auth`] makes one, so a tenant never comes from anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The tenant whose data the request may touch.
    pub tenant: TenantId,
    /// The user within that tenant.
    pub user: UserId,
    /// What the user may do.
    pub role: Role,
    /// The address in the token, if it has one.
    pub email: Option<String>,
    /// The display name in the token, if it has one.
    pub name: Option<String>,
}

impl Principal {
    /// Refuses a caller whose role is below `role`.
    pub fn require(&self, role: Role) -> Result<(), Error> {
        if self.role >= role { Ok(()) } else { Err(Error::Forbidden { required: role }) }
    }
}
