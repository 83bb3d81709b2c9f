use axum::Extension;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use shared::door::TenantRecord;
use shared::error::Error;
use shared::http::Json;
use shared::tenancy::{KeyId, Permission, Principal, Role, TenantId, UserId};
use utoipa::ToSchema;

use crate::users::Membership;
use crate::{State, check_name};

/// Who the caller is, and what the caller may do.
#[derive(Serialize, ToSchema)]
pub(crate) struct Profile {
    id: UserId,
    /// The API key that was used, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<KeyId>,
    #[schema(required)]
    email: Option<String>,
    #[schema(required)]
    name: Option<String>,
    role: Role,
    permissions: Vec<Permission>,
    collections: Vec<Membership>,
    tenant: Tenant,
}

/// The tenant of a caller.
#[derive(Serialize, ToSchema)]
#[schema(as = OwnTenant)]
struct Tenant {
    id: TenantId,
    #[schema(required)]
    name: Option<String>,
    plan: String,
}

#[utoipa::path(
    get, path = "/users/me", tag = "users", operation_id = "getProfile",
    summary = "Who the caller is, and what the caller may do",
    responses((status = 200, description = "The profile.", body = Profile), (status = 304)),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn read(Extension(tenant): Extension<TenantRecord>, principal: Principal) -> Json<Profile> {
    profile(tenant, &principal)
}

/// What is to be different of a profile.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProfileChange, example = json!({ "name": "Ada" }))]
pub(crate) struct Change {
    /// It takes the place of the token's.
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    name: String,
}

#[utoipa::path(
    patch, path = "/users/me", tag = "users", operation_id = "changeProfile",
    summary = "Change the caller's name",
    request_body = Change,
    responses((status = 200, description = "The profile.", body = Profile), (status = 409)),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn change(
    Extract(state): Extract<State>,
    Extension(tenant): Extension<TenantRecord>,
    mut principal: Principal,
    Json(change): Json<Change>,
) -> Result<Json<Profile>, Error> {
    // A key may be in other hands than its maker's.
    if principal.key.is_some() {
        return Err(Error::Conflict("An API key cannot rename its maker; ask as the user."));
    }
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
