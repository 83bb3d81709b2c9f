use std::collections::BTreeSet;

use axum::extract::State as Extract;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::audit::{Action, Entry};
use shared::error::{Error, FieldError};
use shared::http::{Json, PathId};
use shared::keys::{ApiKey, MAX_KEYS, Secret};
use shared::openapi::IdempotencyHeader;
use shared::page::Page;
use shared::tenancy::{CollectionId, KeyId, KeyLimits, Permission, Principal, Role, UserId};
use time::{OffsetDateTime, UtcOffset};
use utoipa::ToSchema;

use crate::{State, check_name};

/// An API key.
#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyView {
    id: KeyId,
    name: String,
    role: Role,
    /// The only collections; all that its maker may read if empty.
    collections: BTreeSet<CollectionId>,
    created_by: UserId,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    expires_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    last_used_at: Option<OffsetDateTime>,
}

/// A key that was just made, with its text, which is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewKey {
    #[serde(flatten)]
    view: KeyView,
    key: String,
}

/// The caller's own keys; those of all users for who manages the tenant.
#[utoipa::path(
    get, path = "/keys", tag = "keys", operation_id = "listKeys",
    summary = "The caller's API keys; all for who manages the tenant",
    responses((status = 200, description = "All of them, in one page.", body = Page<KeyView>)),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn list(Extract(state): Extract<State>, principal: Principal) -> Result<Json<Page<KeyView>>, Error> {
    let keys = state.keys.list(&principal.tenant).await?;
    let data = keys.into_iter().filter(|key| sees(&principal, key)).map(view).collect();
    Ok(Json(Page { data, next_cursor: None }))
}

/// What an API key is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "importer", "role": "editor" }))]
pub(crate) struct CreateKey {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    name: String,
    #[serde(default = "lowest")]
    role: Role,
    /// The only collections; all that its maker may read if there are none.
    #[serde(default)]
    #[schema(value_type = Vec<CollectionId>)]
    collections: BTreeSet<CollectionId>,
    /// In the future; the key does not end if it is left out.
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

fn lowest() -> Role {
    Role::Viewer
}

#[utoipa::path(
    post, path = "/keys", tag = "keys", operation_id = "createKey",
    summary = "Make an API key of the caller",
    description = "Its text is shown this once. It never may more than its maker.",
    params(IdempotencyHeader),
    request_body = CreateKey,
    responses((status = 201, description = "The key.", body = NewKey), (status = 409)),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn create(
    Extract(state): Extract<State>,
    principal: Principal,
    Json(body): Json<CreateKey>,
) -> Result<(StatusCode, Json<NewKey>), Error> {
    // A key that made another would pass on its maker's rights, not its own.
    if principal.key.is_some() {
        return Err(Error::Conflict("An API key cannot make another; ask as the user."));
    }
    check(&body, &principal)?;
    if state.keys.list(&principal.tenant).await?.len() >= MAX_KEYS {
        return Err(Error::Conflict("The tenant has as many API keys as it may."));
    }
    let secret = Secret::new()?;
    let limits = KeyLimits { role: body.role, collections: body.collections };
    let key = ApiKey::new(&secret, body.name, limits, principal.user.clone(), body.expires_at);
    let detail = json!({ "name": key.name, "limits": key.limits });
    let entry = Entry::new(&principal, Action::CreateKey, &key.id, detail);
    state.keys.create(&principal.tenant, &key, &entry).await?;
    Ok((StatusCode::CREATED, Json(NewKey { view: view(key), key: secret.reveal() })))
}

/// Revokes a key: the next request with it is refused.
#[utoipa::path(
    delete, path = "/keys/{id}", tag = "keys", operation_id = "revokeKey",
    summary = "Revoke an API key of the caller; any for who manages the tenant",
    params(("id" = KeyId, Path)),
    responses((status = 204, description = "The next request with it is refused.")),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn revoke(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<KeyId>,
) -> Result<StatusCode, Error> {
    let key = state.keys.get(&principal.tenant, id).await?;
    if !sees(&principal, &key) {
        return Err(Error::NotFound);
    }
    let entry = Entry::new(&principal, Action::RevokeKey, &id, json!({ "name": key.name }));
    state.keys.revoke(&principal.tenant, &key, Some(&entry)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether a key is the caller's to see: who came by a key sees that one only, unless it may manage the tenant.
fn sees(principal: &Principal, key: &ApiKey) -> bool {
    principal.role.may(Permission::Manage)
        || principal.key.map_or(principal.user == key.created_by, |own| own == key.id)
}

fn check(body: &CreateKey, principal: &Principal) -> Result<(), Error> {
    check_name(&body.name)?;
    let mut errors = Vec::new();
    let highest = principal.collections.values().copied().fold(principal.role, Ord::max).min(Role::Owner);
    if body.role > highest {
        errors.push(FieldError::new("/role", format!("must be {} or below, as your own is", highest.as_str())));
    }
    if !body.collections.is_empty() && body.role.may(Permission::Manage) {
        errors.push(FieldError::new("/role", "must be viewer or editor for a key of some collections"));
    }
    if let Some(unknown) = body.collections.iter().find(|id| !principal.reads(id)) {
        errors.push(FieldError::new("/collections", format!("there is no such collection: {unknown}")));
    }
    if body.expires_at.is_some_and(|end| end <= OffsetDateTime::now_utc()) {
        errors.push(FieldError::new("/expires_at", "must lie in the future"));
    }
    // Or it could be entered, but neither written nor read again.
    if body.expires_at.is_some_and(|end| end.checked_to_offset(UtcOffset::UTC).is_none()) {
        errors.push(FieldError::new("/expires_at", "must lie before the year 10000"));
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

fn view(key: ApiKey) -> KeyView {
    KeyView {
        id: key.id,
        name: key.name,
        role: key.limits.role,
        collections: key.limits.collections,
        created_by: key.created_by,
        created_at: key.created_at,
        expires_at: key.expires_at,
        last_used_at: key.last_used_at,
    }
}
