//! The caller's own profile.

use axum::Router;
use axum::extract::{FromRef, State as Extract};
use axum::routing::get;
use serde::Serialize;
use shared::auth::TokenVerifier;
use shared::collections::Collections;
use shared::error::Error;
use shared::http::Json;
use shared::tenancy::{CollectionId, Principal, Role, TenantId, UserId};

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct State {
    /// Verifies the bearer token of each request.
    pub verifier: TokenVerifier,
    /// What the caller may read.
    pub collections: Collections,
}

/// `GET /users/me`.
pub fn router(state: State) -> Router {
    Router::new().route("/users/me", get(me)).with_state(state)
}

#[derive(Serialize)]
struct Profile {
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
}

async fn me(Extract(state): Extract<State>, principal: Principal) -> Result<Json<Profile>, Error> {
    let collections = state.collections.list(&principal.tenant).await?;
    let role = principal.role;
    Ok(Json(Profile {
        id: principal.user,
        email: principal.email,
        name: principal.name,
        role,
        permissions: role.permissions(),
        collections: collections.into_iter().map(|collection| CollectionRole { id: collection.id, role }).collect(),
        tenant: Tenant { id: principal.tenant },
    }))
}
