use axum::extract::State as Extract;
use serde::Deserialize;
use shared::audit::{self, Entry};
use shared::error::Error;
use shared::http::{Json, Query};
use shared::page::{Limit, Page};
use shared::tenancy::{Permission, Principal};
use utoipa::IntoParams;

use crate::State;

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

/// The audit trail, newest first.
#[utoipa::path(
    get, path = "/audit", tag = "audit", operation_id = "listAudit",
    summary = "The audit trail, newest first",
    params(ListQuery),
    responses((status = 200, description = "A page of it.", body = Page<Entry>)),
    extensions(("x-lowest-role" = json!("admin"))),
)]
pub(crate) async fn list(
    Extract(state): Extract<State>,
    principal: Principal,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Entry>>, Error> {
    principal.require(Permission::Manage)?;
    Ok(Json(state.pages.read(&audit::trail(&principal.tenant), query.limit, query.cursor.as_deref()).await?))
}
