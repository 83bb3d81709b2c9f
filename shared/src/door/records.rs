use serde::{Deserialize, Serialize};

use super::epochs;
use super::limits::{Limits, Plans};
use crate::clients::DynamoDb;
use crate::error::Error;
use crate::tables::Key;
use crate::tenancy::{Principal, Role, TenantId, UserId};
use crate::{tenants, users};

/// The tenant of a request as its door knows it: handlers find it among the extensions of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRecord {
    /// For people, if it was given one.
    pub name: Option<String>,
    /// The name of its plan.
    pub plan: String,
    /// The limits that hold.
    pub limits: Limits,
    /// Grows with each change; 0 if nothing is stored.
    pub version: u64,
}

/// The user of a request, as far as the tenant keeps anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UserRecord {
    /// The name that overrides the token's.
    pub(super) name: Option<String>,
    /// The role that overrides the token's.
    pub(super) role: Option<Role>,
    /// Grows with each change; 0 if nothing is stored.
    pub(super) version: u64,
}

impl UserRecord {
    /// The caller with what is stored in place of what the token said.
    pub(super) fn apply(self, mut principal: Principal) -> Principal {
        principal.role = self.role.unwrap_or(principal.role);
        principal.name = self.name.or(principal.name);
        principal
    }
}

/// What callers with the same answers have in common: their role, and what they may read. Every collection is open to the
/// whole tenant, so the role is all there is to tell them apart.
pub(super) fn permission_set(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Editor => "editor",
        Role::Admin => "admin",
        Role::Owner => "owner",
        Role::Operator => "operator",
    }
}

/// Which records are needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needed {
    pub(super) mark: bool,
    pub(super) tenant: bool,
    pub(super) user: bool,
}

/// Records from the database.
#[derive(Debug, Clone, Default)]
pub(super) struct Loaded {
    pub(super) mark: Option<String>,
    pub(super) tenant: Option<TenantRecord>,
    pub(super) user: Option<UserRecord>,
}

/// Reads the records that are needed, in one request.
pub(super) async fn load(
    dynamodb: &DynamoDb,
    plans: &Plans,
    tenant: &TenantId,
    user: &UserId,
    needed: Needed,
) -> Result<Loaded, Error> {
    let keys = [
        (needed.mark, Key::mark(tenant)),
        (needed.tenant, Key::tenant(tenant)),
        (needed.user, Key::user(tenant, user)),
    ];
    let wanted = keys.iter().filter(|(needed, _)| *needed).map(|(_, key)| key.clone()).collect();
    let mut items = dynamodb.get_batch(wanted).await?;
    let mut take = |key: &Key| {
        let place = items.iter().position(|item| item.get("sk").and_then(|sk| sk.as_s().ok()) == Some(&key.sk))?;
        Some(items.swap_remove(place))
    };
    let (mark, tenant_item, user_item) = (take(&keys[0].1), take(&keys[1].1), take(&keys[2].1));
    let mut loaded = Loaded::default();
    if needed.mark {
        loaded.mark = Some(epochs::mark(mark.as_ref()));
    }
    if needed.tenant {
        let stored = tenants::from_item(tenant_item)?;
        let plan = stored.plan.unwrap_or_else(|| plans.standard().to_owned());
        let limits = stored.limits.over(plans.limits(&plan));
        loaded.tenant = Some(TenantRecord { name: stored.name, plan, limits, version: stored.version });
    }
    if needed.user {
        let stored = users::from_item(user_item)?;
        loaded.user = Some(UserRecord { name: stored.name, role: stored.role, version: stored.version });
    }
    Ok(loaded)
}
