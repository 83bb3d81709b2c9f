use axum::Extension;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use shared::door::{LimitStatus, Quotas, Standings, TenantRecord};
use shared::error::Error;
use shared::http::{Json, Query};
use shared::tenancy::{Permission, Principal};
use shared::usage::Month;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use crate::State;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageQuery {
    /// A month in UTC, such as 2026-11; this one if it is left out.
    #[param(pattern = "^[0-9]{4}-(0[1-9]|1[0-2])$")]
    period: Option<String>,
}

/// What a tenant used in a month.
#[derive(Serialize, ToSchema)]
#[schema(as = Usage)]
pub(crate) struct UsageView {
    period: String,
    requests: u64,
    /// Those that answers took.
    chat_tokens: u64,
    embedded_tokens: u64,
    /// These three as they are now, whatever the period.
    storage_bytes: u64,
    documents: u64,
    /// Documents that wait for their bytes or are worked on.
    ingesting: u64,
    /// How much of each of the last three there may be.
    quotas: Quotas,
    /// Tokens of language models today, whatever the period.
    daily_tokens: DailyTokens,
    limits: Vec<LimitStatus>,
}

/// The tokens of language models that a tenant may spend in a day in UTC.
#[derive(Serialize, ToSchema)]
pub(crate) struct DailyTokens {
    /// How many there may be.
    quota: u64,
    /// Those that answers took.
    used: u64,
    /// Those that answers may still take that are being made.
    reserved: u64,
    remaining: u64,
}

/// What the tenant used in a month, this one unless another is asked for.
#[utoipa::path(
    get, path = "/usage", tag = "usage", operation_id = "getUsage",
    summary = "What the tenant used in a month",
    params(UsageQuery),
    responses((status = 200, description = "The numbers.", body = UsageView)),
    extensions(("x-lowest-role" = json!("admin"))),
)]
pub(crate) async fn read(
    Extract(state): Extract<State>,
    Extension(standings): Extension<Standings>,
    Extension(tenant): Extension<TenantRecord>,
    principal: Principal,
    Query(query): Query<UsageQuery>,
) -> Result<Json<UsageView>, Error> {
    principal.require(Permission::Manage)?;
    let now = OffsetDateTime::now_utc();
    let month = match query.period {
        None => Month::of(now),
        Some(text) => text.parse().map_err(|()| Error::field("period", "must be a month such as 2026-11"))?,
    };
    let (stored, chat_tokens, spent, pending) = futures::join!(
        state.usage.get(&principal.tenant, &month),
        state.budgets.used_in(&principal.tenant, &month, now),
        state.budgets.spent(&principal.tenant, now),
        state.door.pending_requests(&principal.tenant, &month),
    );
    let ((used, stock), spent, quota) = (stored?, spent?, tenant.limits.spending().daily_tokens);
    Ok(Json(UsageView {
        period: month.as_str().to_owned(),
        requests: used.requests + pending,
        chat_tokens: chat_tokens?,
        embedded_tokens: used.embedded_tokens,
        // The records of one document may be worked off out of order, so that a sum is below zero for a moment.
        storage_bytes: u64::try_from(stock.storage_bytes).unwrap_or(0),
        documents: u64::try_from(stock.documents).unwrap_or(0),
        ingesting: u64::try_from(stock.ingesting).unwrap_or(0),
        quotas: tenant.limits.quotas(),
        daily_tokens: DailyTokens {
            quota,
            used: spent.used,
            reserved: spent.reserved,
            remaining: quota.saturating_sub(spent.used + spent.reserved),
        },
        limits: standings.status(),
    }))
}
