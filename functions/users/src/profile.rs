use axum::Extension;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use shared::door::TenantRecord;
use shared::error::Error;
use shared::http::Json;
use shared::tenancy::{KeyId, Permission, Principal, Role, TenantId, UserId};

use crate::users::Membership;
use crate::{State, check_name};

#[derive(Serialize)]
pub(crate) struct Profile {
    id: UserId,
    /// The API key that was used, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<KeyId>,
    email: Option<String>,
    name: Option<String>,
    role: Role,
    permissions: Vec<Permission>,
    collections: Vec<Membership>,
    tenant: Tenant,
}

#[derive(Serialize)]
struct Tenant {
    id: TenantId,
    name: Option<String>,
    plan: String,
}

pub(crate) async fn read(Extension(tenant): Extension<TenantRecord>, principal: Principal) -> Json<Profile> {
    profile(tenant, &principal)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    name: String,
}

pub(crate) async fn change(
    Extract(state): Extract<State>,
    Extension(tenant): Extension<TenantRecord>,
    mut principal: Principal,
    Json(change): Json<Change>,
) -> Result<Json<Profile>, Error> {
    check_name(&change.name)?;
    principal.name = state.users.rename(&principal.tenant, &principal.user, &change.name).await?.name;
    Ok(profile(tenant, &principal))
}

fn profile(tenant: TenantRecord, principal: &Principal) -> Json<Profile> {
    let collections = principal.collections.iter();
    Json(Profile {
        id: principal.user.clone(),
        key: principal.key,
        email: principal.email.clone(),
        name: principal.name.clone(),
        role: principal.role,
        permissions: principal.role.permissions(),
        collections: collections.map(|(id, role)| Membership { id: id.clone(), role: *role }).collect(),
        tenant: Tenant { id: principal.tenant.clone(), name: tenant.name, plan: tenant.plan },
    })
}
