use axum::extract::State as Extract;
use serde::Deserialize;
use shared::audit::{self, Entry};
use shared::error::Error;
use shared::http::{Json, Query};
use shared::page::{Limit, Page};
use shared::tenancy::{Permission, Principal};

use crate::State;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<String>,
}

/// The audit trail, newest first.
pub(crate) async fn list(
    Extract(state): Extract<State>,
    principal: Principal,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Entry>>, Error> {
    principal.require(Permission::Manage)?;
    Ok(Json(state.pages.read(&audit::trail(&principal.tenant), query.limit, query.cursor.as_deref()).await?))
}
