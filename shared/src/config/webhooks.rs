use super::{ConfigError, Variables};

/// How far out webhooks may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To the Internet, encrypted.
    Public,
    /// Also to private addresses and to this machine, and without encryption. Never to link-local addresses.
    Private,
}

impl Reach {
    /// Reads `WEBHOOK_ALLOW_PRIVATE`: whether webhooks may lead to private addresses, and to `http`; for an installation on
    /// one's own network (false).
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        variables.choice("WEBHOOK_ALLOW_PRIVATE", &[("false", Self::Public), ("true", Self::Private)])
    }
}
