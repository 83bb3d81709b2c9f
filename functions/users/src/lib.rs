//! The caller's own profile, and the tenants of the platform.

mod profile;
mod tenants;

use std::time::Duration;

use axum::Router;
use axum::routing::{get, patch, put};
use shared::collections::Collections;
use shared::door::{Door, Scope};
use shared::tenants::Tenants;
use shared::users::Users;

/// How long an answer may be served again if nothing changes.
const KEEP: Duration = Duration::from_mins(1);

/// What the routes need.
#[derive(Clone)]
pub struct State {
    /// What each request passes first.
    pub door: Door,
    /// What the caller may read.
    pub collections: Collections,
    /// Plans and limits.
    pub tenants: Tenants,
    /// What is kept of users.
    pub users: Users,
}

/// `/users/me` and `/tenants`.
pub fn router(state: State) -> Router {
    let door = &state.door;
    Router::new()
        .route("/users/me", get(profile::read).route_layer(door.reads(Scope::Users).cached(KEEP).personal()))
        .route("/users/me", patch(profile::change).route_layer(door.writes(&[Scope::Users])))
        .route("/tenants/{id}", get(tenants::read).route_layer(door.counts()))
        .route("/tenants/{id}", put(tenants::put).route_layer(door.counts()))
        .with_state(state)
}
