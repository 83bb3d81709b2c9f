use axum::Extension;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use shared::door::TenantRecord;
use shared::error::Error;
use shared::http::Json;
use shared::tenancy::{CollectionId, Principal, Role, TenantId, UserId};

use crate::State;

/// The longest name, in characters.
const MAX_NAME: usize = 200;

#[derive(Serialize)]
pub(crate) struct Profile {
    id: UserId,
    email: Option<String>,
    name: Option<String>,
    role: Role,
    permissions: &'static [&'static str],
    collections: Vec<CollectionRole>,
    tenant: Tenant,
}

#[derive(Serialize)]
struct CollectionRole {
    id: CollectionId,
    role: Role,
}

#[derive(Serialize)]
struct Tenant {
    id: TenantId,
    name: Option<String>,
    plan: String,
}

pub(crate) async fn read(
    Extract(state): Extract<State>,
    Extension(tenant): Extension<TenantRecord>,
    principal: Principal,
) -> Result<Json<Profile>, Error> {
    profile(&state, tenant, principal).await
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
    if change.name.trim().is_empty() || change.name.chars().count() > MAX_NAME {
        return Err(Error::field("/name", format!("must have 1 to {MAX_NAME} characters")));
    }
    principal.name = state.users.rename(&principal.tenant, &principal.user, &change.name).await?.name;
    profile(&state, tenant, principal).await
}

async fn profile(state: &State, tenant: TenantRecord, principal: Principal) -> Result<Json<Profile>, Error> {
    let collections = state.collections.list(&principal.tenant).await?;
    let role = principal.role;
    Ok(Json(Profile {
        id: principal.user,
        email: principal.email,
        name: principal.name,
        role,
        permissions: role.permissions(),
        collections: collections.into_iter().map(|collection| CollectionRole { id: collection.id, role }).collect(),
        tenant: Tenant { id: principal.tenant, name: tenant.name, plan: tenant.plan },
    }))
}
