use std::collections::BTreeSet;

use axum::Extension;
use axum::extract::State as Extract;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::audit::{Action, Entry};
use shared::door::TenantRecord;
use shared::error::{Error, FieldError};
use shared::http::{Json, PathId, Query};
use shared::page::{Limit, Page};
use shared::tenancy::{CollectionId, Memberships, Permission, Principal, Role, UserId};
use shared::users::{Decision, Listed, User, Users};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use crate::{State, check_name};

/// The longest e-mail address, in characters (RFC 5321).
const MAX_EMAIL: usize = 254;

/// A user of the tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserView {
    id: UserId,
    #[schema(required)]
    email: Option<String>,
    #[schema(required)]
    name: Option<String>,
    role: Role,
    /// The collections of which the user is a member.
    collections: Vec<Membership>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    created_at: Option<OffsetDateTime>,
}

/// A role in one collection.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Membership {
    pub(crate) id: CollectionId,
    pub(crate) role: Role,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    #[serde(default)]
    #[param(inline)]
    limit: Limit,
    /// Where the page begins: `next_cursor` of the page before.
    #[param(pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

/// The users of the tenant in the order of their ids.
#[utoipa::path(
    get, path = "/users", tag = "users", operation_id = "listUsers",
    summary = "The users of the tenant",
    params(ListQuery),
    responses((status = 200, description = "A page of them, in the order of their ids.", body = Page<UserView>)),
    extensions(("x-lowest-role" = json!("admin"))),
)]
pub(crate) async fn list(
    Extract(state): Extract<State>,
    principal: Principal,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<UserView>>, Error> {
    principal.require(Permission::Manage)?;
    let page = state.pages.read(&Users::list(&principal.tenant), query.limit, query.cursor.as_deref()).await?;
    let data = page.data.into_iter().map(|Listed { id, user }| view(id, &user)).collect();
    Ok(Json(Page { data, next_cursor: page.next_cursor }))
}

#[utoipa::path(
    get, path = "/users/{id}", tag = "users", operation_id = "getUser",
    summary = "A user of the tenant",
    params(("id" = UserId, Path)),
    responses((status = 200, description = "The user.", body = UserView)),
    extensions(("x-lowest-role" = json!("admin"))),
)]
pub(crate) async fn read(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<UserId>,
) -> Result<Json<UserView>, Error> {
    principal.require(Permission::Manage)?;
    let user = state.users.get(&principal.tenant, &id).await?;
    Ok(Json(view(id, &user)))
}

/// What a user is to be. Name and address stay if they are left out; memberships that are left out end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "role": "viewer", "collections": [{ "id": "board", "role": "editor" }] }))]
pub(crate) struct PutUser {
    #[schema(max_length = 254, pattern = "@")]
    email: Option<String>,
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    name: Option<String>,
    /// `operator` cannot be given.
    role: Role,
    /// Each once; `viewer` or `editor`.
    #[serde(default)]
    collections: Vec<Membership>,
}

/// Invites a user or changes one. Name and address stay if they are left out; memberships that are left out end.
#[utoipa::path(
    put, path = "/users/{id}", tag = "users", operation_id = "putUser",
    summary = "Invite a user, or change one",
    description = "Admins manage viewers and editors, owners all.",
    params(("id" = UserId, Path)),
    request_body = PutUser,
    responses(
        (status = 200, description = "The user was changed.", body = UserView),
        (status = 201, description = "The user is new.", body = UserView),
        (status = 409),
    ),
    extensions(("x-lowest-role" = json!("admin"))),
)]
pub(crate) async fn put(
    Extract(state): Extract<State>,
    Extension(tenant): Extension<TenantRecord>,
    principal: Principal,
    PathId(id): PathId<String>,
    Json(body): Json<PutUser>,
) -> Result<(StatusCode, Json<UserView>), Error> {
    principal.require(Permission::Manage)?;
    let id: UserId = id.parse().map_err(|rule| Error::field("id", format!("{rule}")))?;
    let decision = checked(body, &tenant)?;
    let known = state.users.find(&principal.tenant, &id).await?;
    let present = known.as_ref().filter(|user| !user.is_removed());
    manages(&principal, present.map_or(Role::Viewer, User::role))?;
    manages(&principal, decision.role)?;
    // Without the address and the name, which a trail would keep after the user is gone.
    let detail = json!({ "role": decision.role, "collections": decision.collections });
    let entry = Entry::new(&principal, Action::PutUser, &id, detail);
    let status = if present.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    state.users.put(&principal.tenant, &id, known.as_ref(), &decision, &entry).await?;
    let user = state.users.get(&principal.tenant, &id).await?;
    Ok((status, Json(view(id, &user))))
}

/// Removes a user: the next request with any token or key of theirs is refused.
#[utoipa::path(
    delete, path = "/users/{id}", tag = "users", operation_id = "removeUser",
    summary = "Remove a user",
    description = "Admins manage viewers and editors, owners all.",
    params(("id" = UserId, Path)),
    responses((status = 204, description = "The user is removed."), (status = 409)),
    extensions(("x-lowest-role" = json!("admin"))),
)]
pub(crate) async fn remove(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<UserId>,
) -> Result<StatusCode, Error> {
    principal.require(Permission::Manage)?;
    let user = state.users.get(&principal.tenant, &id).await?;
    // Who wants to leave may.
    if id != principal.user {
        manages(&principal, user.role())?;
    }
    let entry = Entry::new(&principal, Action::RemoveUser, &id, json!({}));
    state.users.remove(&principal.tenant, &id, &user, &entry).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn manages(principal: &Principal, role: Role) -> Result<(), Error> {
    if principal.role.manages(role) { Ok(()) } else { Err(Error::Forbidden { required: Role::Owner }) }
}

fn checked(body: PutUser, tenant: &TenantRecord) -> Result<Decision, Error> {
    let mut errors = Vec::new();
    if let Some(name) = &body.name {
        check_name(name)?;
    }
    if body.email.as_ref().is_some_and(|email| email.chars().count() > MAX_EMAIL || !email.contains('@')) {
        errors.push(FieldError::new("/email", "must be an e-mail address"));
    }
    if body.role == Role::Operator {
        errors.push(FieldError::new("/role", "must be one of viewer, editor, admin, owner"));
    }
    let mut seen = BTreeSet::new();
    for (place, Membership { id, role }) in body.collections.iter().enumerate() {
        if !tenant.collections.contains_key(id) {
            errors.push(FieldError::new(format!("/collections/{place}/id"), "there is no such collection"));
        }
        if *role > Role::Editor {
            errors.push(FieldError::new(format!("/collections/{place}/role"), "must be viewer or editor"));
        }
        if !seen.insert(id) {
            errors.push(FieldError::new(format!("/collections/{place}/id"), "is named twice"));
        }
    }
    if !errors.is_empty() {
        return Err(Error::Invalid(errors));
    }
    let collections: Memberships = body.collections.into_iter().map(|member| (member.id, member.role)).collect();
    Ok(Decision { role: body.role, collections, email: body.email, name: body.name })
}

fn view(id: UserId, user: &User) -> UserView {
    UserView {
        id,
        email: user.email().map(str::to_owned),
        name: user.name().map(str::to_owned),
        role: user.role(),
        collections: user.collections.iter().map(|(id, role)| Membership { id: id.clone(), role: *role }).collect(),
        created_at: user.created_at,
    }
}
