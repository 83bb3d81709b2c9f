use axum::extract::State as Extract;
use shared::audit::{self, Entry};
use shared::error::Error;
use shared::http::{Json, Query};
use shared::page::{Page, PageQuery};
use shared::tenancy::{Permission, Principal};

use crate::State;

/// The audit trail, newest first.
#[utoipa::path(
    get, path = "/audit", tag = "audit", operation_id = "listAudit",
    summary = "The audit trail, newest first",
    params(PageQuery),
    responses((status = 200, description = "A page of it.", body = Page<Entry>)),
    extensions(("x-lowest-role" = json!("admin"))),
)]
pub(crate) async fn list(
    Extract(state): Extract<State>,
    principal: Principal,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Entry>>, Error> {
    principal.require(Permission::Manage)?;
    Ok(Json(state.pages.read(&audit::trail(&principal.tenant), query.limit, query.cursor.as_deref()).await?))
}
