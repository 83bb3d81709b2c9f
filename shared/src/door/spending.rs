use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the answers of a tenant may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Spending {
    /// Tokens of language models, read and written, in a day in UTC.
    pub daily_tokens: u64,
    /// Answers that are being made for one user at a time.
    pub user_streams: u32,
    /// Answers that are being made for the tenant at a time.
    pub tenant_streams: u32,
}

impl Default for Spending {
    fn default() -> Self {
        Self { daily_tokens: 2_000_000, user_streams: 10, tenant_streams: 100 }
    }
}

impl Spending {
    /// The most answers at a time that may be allowed: each is an entry in the cache and one in the day's account.
    pub const MAX_STREAMS: u32 = 1_000;
}
