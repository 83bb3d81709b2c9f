use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::acting;
use shared::audit::{Action, Entry};
use shared::door::{Limits, Overrides, Scope};
use shared::error::Error;
use shared::http::{Json, PathId};
use shared::tenancy::{Permission, Principal, TenantId};
use shared::tenants::{ChatSettings, Tenant};
use utoipa::ToSchema;

use crate::State;

/// A tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(crate) struct TenantView {
    id: TenantId,
    #[schema(required)]
    name: Option<String>,
    plan: String,
    /// Those that hold: the plan's, and what overrides them.
    limits: Limits,
    /// How its questions are answered, where that differs from the deployment.
    chat: ChatSettings,
}

#[utoipa::path(
    get, path = "/tenants/{id}", tag = "tenants", operation_id = "getTenant",
    summary = "A tenant with its plan and limits",
    params(("id" = TenantId, Path)),
    responses((status = 200, description = "The tenant.", body = TenantView)),
    extensions(("x-lowest-role" = json!("operator"))),
)]
pub(crate) async fn read(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<TenantId>,
) -> Result<Json<TenantView>, Error> {
    principal.require(Permission::Operate)?;
    let tenant = acting::for_tenant(&id, state.tenants.get(&id)).await?;
    Ok(Json(view(&state, id, tenant)))
}

/// What a tenant is to be. What is left out is forgotten.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "Acme", "plan": "standard", "limits": { "user_per_minute": 600 } }))]
pub(crate) struct PutTenant {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    name: Option<String>,
    /// One of the deployment's.
    plan: Option<String>,
    #[serde(default, deserialize_with = "shared::http::object")]
    limits: Overrides,
    #[serde(default, deserialize_with = "shared::http::object")]
    chat: ChatSettings,
}

/// Describes a tenant anew. What is left out is forgotten. It holds from the next request on.
#[utoipa::path(
    put, path = "/tenants/{id}", tag = "tenants", operation_id = "putTenant",
    summary = "Describe a tenant anew",
    params(("id" = TenantId, Path)),
    request_body = PutTenant,
    responses((status = 200, description = "The tenant.", body = TenantView)),
    extensions(("x-lowest-role" = json!("operator"))),
)]
pub(crate) async fn put(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<String>,
    Json(body): Json<PutTenant>,
) -> Result<Json<TenantView>, Error> {
    principal.require(Permission::Operate)?;
    let id: TenantId = id.parse().map_err(|rule| Error::field("id", format!("{rule}")))?;
    let tenant = Tenant { name: body.name, plan: body.plan, limits: body.limits, chat: body.chat, version: 0 };
    if let Some((field, rule)) = tenant.fault(&state.door.plans().names(), &state.models) {
        return Err(Error::field(field, rule));
    }
    let detail = json!({ "name": tenant.name, "plan": tenant.plan, "limits": tenant.limits, "chat": tenant.chat });
    let entry = Entry::new(&principal, Action::PutTenant, &id, detail);
    acting::for_tenant(&id, state.tenants.put(&id, &tenant, &entry)).await?;
    // The door tells the cache of changes in the caller's own tenant; this is another.
    state.door.epochs().changed(&id, &[Scope::Users]).await?;
    Ok(Json(view(&state, id, tenant)))
}

fn view(state: &State, id: TenantId, tenant: Tenant) -> TenantView {
    let plans = state.door.plans();
    let plan = tenant.plan.unwrap_or_else(|| plans.standard().to_owned());
    let limits = tenant.limits.over(plans.limits(&plan));
    TenantView { id, name: tenant.name, plan, limits, chat: tenant.chat }
}
