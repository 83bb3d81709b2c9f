//! Users, API keys, webhooks and tenants: who may do what, who is told of what, what was done, and what was used.

mod audit;
mod keys;
mod profile;
mod tenants;
mod usage;
mod users;
mod webhooks;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{delete, get, patch, post, put};
use shared::budgets::Budgets;
use shared::clients::Queue;
use shared::config::Reach;
use shared::door::{Door, Idempotency, Scope};
use shared::http::MAX_JSON;
use shared::keys::Keys;
use shared::page::Pages;
use shared::tenants::Tenants;
use shared::usage::Usage;
use shared::users::Users;
use shared::webhooks::{Secrets, Webhooks};

/// How long an answer may be served again if nothing changes.
const KEEP: Duration = Duration::from_mins(1);
/// The longest name, in characters.
const MAX_NAME: usize = 200;

/// What the routes need.
#[derive(Clone)]
pub struct State {
    /// What each request passes first.
    pub door: Door,
    /// Keys that are made once only.
    pub idempotency: Idempotency,
    /// Plans and limits.
    pub tenants: Tenants,
    /// What is kept of users.
    pub users: Users,
    /// API keys.
    pub keys: Keys,
    /// The language models that a tenant may be given.
    pub models: Arc<BTreeSet<String>>,
    /// What was used.
    pub usage: Usage,
    /// What answers of the day took.
    pub budgets: Budgets,
    /// Webhooks.
    pub webhooks: Webhooks,
    /// What they sign with.
    pub secrets: Secrets,
    /// Where they may lead.
    pub reach: Reach,
    /// What they are to be told.
    pub webhook_queue: Queue,
    /// Reads lists.
    pub pages: Pages,
}

/// `/users`, `/keys`, `/webhooks`, `/tenants`, `/usage` and `/audit`.
pub fn router(state: State) -> Router {
    let door = &state.door;
    let makes_key = door.counts().idempotent(&state.idempotency, MAX_JSON);
    let changes_users = || door.writes(&[Scope::Users]);
    Router::new()
        .route("/users/me", get(profile::read).route_layer(door.reads(Scope::Users).cached(KEEP).personal()))
        .route("/users/me", patch(profile::change).route_layer(changes_users()))
        .route("/users", get(users::list).route_layer(door.counts()))
        .route("/users/{id}", get(users::read).route_layer(door.counts()))
        .route("/users/{id}", put(users::put).route_layer(changes_users()))
        .route("/users/{id}", delete(users::remove).route_layer(changes_users()))
        .route("/keys", get(keys::list).route_layer(door.counts()))
        .route("/keys", post(keys::create).route_layer(makes_key))
        .route("/keys/{id}", delete(keys::revoke).route_layer(changes_users()))
        .route("/webhooks", get(webhooks::list).route_layer(door.counts()))
        .route("/webhooks/{id}", get(webhooks::read).route_layer(door.counts()))
        .route("/webhooks/{id}", put(webhooks::put).route_layer(door.counts()))
        .route("/webhooks/{id}", delete(webhooks::delete).route_layer(door.counts()))
        .route("/webhooks/{id}/deliveries", get(webhooks::deliveries).route_layer(door.counts()))
        .route("/webhooks/{id}/test", post(webhooks::test).route_layer(door.counts()))
        .route("/tenants/{id}", get(tenants::read).route_layer(door.counts()))
        .route("/tenants/{id}", put(tenants::put).route_layer(door.counts()))
        .route("/usage", get(usage::read).route_layer(door.counts()))
        .route("/audit", get(audit::list).route_layer(door.counts()))
        .with_state(state)
}

/// What the routes are described as.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    profile::read,
    profile::change,
    users::list,
    users::read,
    users::put,
    users::remove,
    keys::list,
    keys::create,
    keys::revoke,
    webhooks::list,
    webhooks::read,
    webhooks::put,
    webhooks::delete,
    webhooks::deliveries,
    webhooks::test,
    tenants::read,
    tenants::put,
    usage::read,
    audit::list,
))]
struct Described;

/// The description of the routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    <Described as utoipa::OpenApi>::openapi()
}

/// Refuses a name that is empty or too long.
fn check_name(name: &str) -> Result<(), shared::error::Error> {
    if name.trim().is_empty() || name.chars().count() > MAX_NAME {
        return Err(shared::error::Error::field("/name", format!("must have 1 to {MAX_NAME} characters")));
    }
    Ok(())
}
