use std::collections::BTreeMap;
use std::time::Duration;

use super::{ConfigError, Variables};
use crate::door::{Limits, Overrides, Plans, Quotas, Spending};

/// The plan of a tenant that was given none.
const STANDARD: &str = "standard";

/// Limits, and the cache of whole answers.
#[derive(Debug, Clone)]
pub struct DoorConfig {
    /// `LIMIT_USER_PER_MINUTE` (60), `LIMIT_TENANT_PER_HOUR` (1000) and `LIMIT_IP_PER_MINUTE` (300), `LIMIT_DOCUMENTS`
    /// (100,000), `LIMIT_STORAGE_BYTES` (100 GB), `LIMIT_INGESTIONS` (10,000 at a time), `LIMIT_DAILY_TOKENS` (2,000,000),
    /// `LIMIT_USER_STREAMS` (10 at a time) and `LIMIT_TENANT_STREAMS` (100 at a time): the plan `standard`. `PLANS`: further
    /// plans, a JSON object such as `{"pro": {"user_per_minute": 600, "tenant_per_hour": 20000}}`; what a plan leaves out is
    /// as in `standard`.
    pub plans: Plans,
    /// `DOOR_RECORD_SECONDS`: how long plans and profiles are kept in the cache if nobody changes them (300).
    pub record_seconds: u64,
    /// `DOOR_TRUST_MS`: how long the cache is believed before the database is asked whether it missed a change; also the
    /// longest that a write waits if the cache stalls (2000).
    pub trust: Duration,
    /// `DOOR_DENY_MS`: how long a refusal is repeated from memory, at most (1000).
    pub deny: Duration,
    /// `DOOR_FALLBACK_SHARE`: the share of each limit that one process grants by itself while the cache is away (0.25).
    pub fallback_share: f32,
    /// `DOOR_FALLBACK_SHARE_SPENDING`: that share for routes that spend money (0.1).
    pub fallback_share_spending: f32,
    /// `CACHE_MAX_BYTES`: the largest answer that is stored (262144).
    pub cache_max_bytes: usize,
    /// `CACHE_LEASE_MS`: how long one environment may compute an answer while others wait for it (2000).
    pub cache_lease: Duration,
    /// `CACHE_WAIT_MS`: how long they wait before they compute it themselves (300).
    pub cache_wait: Duration,
    /// `CACHE_EARLY_REFRESH`: how eagerly an answer is computed again before it ends, 0 for not at all (1).
    pub cache_early_refresh: f32,
}

impl DoorConfig {
    /// Reads the variables named above.
    pub fn from_variables(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            plans: plans(variables)?,
            record_seconds: variables.number("DOOR_RECORD_SECONDS", 300, 1..=86_400)?,
            trust: variables.milliseconds("DOOR_TRUST_MS", 2_000)?,
            deny: variables.milliseconds("DOOR_DENY_MS", 1_000)?,
            fallback_share: variables.fraction("DOOR_FALLBACK_SHARE", 0.25)?,
            fallback_share_spending: variables.fraction("DOOR_FALLBACK_SHARE_SPENDING", 0.1)?,
            cache_max_bytes: usize::try_from(variables.number("CACHE_MAX_BYTES", 262_144, 0..=4_194_304)?)
                .unwrap_or(262_144),
            cache_lease: variables.milliseconds("CACHE_LEASE_MS", 2_000)?,
            cache_wait: variables.milliseconds("CACHE_WAIT_MS", 300)?,
            cache_early_refresh: variables.fraction("CACHE_EARLY_REFRESH", 1.0)?,
        })
    }
}

fn plans(variables: &Variables) -> Result<Plans, ConfigError> {
    let number = |name, default| {
        let number = variables.number(name, default, 1..=u64::from(Overrides::MAX))?;
        Ok::<_, ConfigError>(u32::try_from(number).unwrap_or(Overrides::MAX))
    };
    let standard = Limits::new(
        number("LIMIT_USER_PER_MINUTE", 60)?,
        number("LIMIT_TENANT_PER_HOUR", 1_000)?,
        number("LIMIT_IP_PER_MINUTE", 300)?,
    );
    let (usual, quota) = (Quotas::default(), |name, default| variables.number(name, default, 1..=Quotas::MAX));
    let standard = standard.with_quotas(Quotas {
        documents: quota("LIMIT_DOCUMENTS", usual.documents)?,
        storage_bytes: quota("LIMIT_STORAGE_BYTES", usual.storage_bytes)?,
        ingestions: quota("LIMIT_INGESTIONS", usual.ingestions)?,
    });
    let (usual, streams) = (Spending::default(), |name, default: u32| {
        let number = variables.number(name, default.into(), 1..=Spending::MAX_STREAMS.into())?;
        Ok::<_, ConfigError>(u32::try_from(number).unwrap_or(Spending::MAX_STREAMS))
    });
    let standard = standard.with_spending(Spending {
        daily_tokens: quota("LIMIT_DAILY_TOKENS", usual.daily_tokens)?,
        user_streams: streams("LIMIT_USER_STREAMS", usual.user_streams)?,
        tenant_streams: streams("LIMIT_TENANT_STREAMS", usual.tenant_streams)?,
    });
    let others: BTreeMap<String, Overrides> = match variables.optional_text("PLANS") {
        None => BTreeMap::new(),
        Some(text) => serde_json::from_str(text).map_err(|error| ConfigError::Wrong {
            name: "PLANS",
            value: text.to_owned(),
            allowed: format!("a JSON object of plans: {error}"),
        })?,
    };
    let wrong = others.iter().find_map(|(plan, limits)| Some((plan, limits.out_of_range()?)));
    if let Some((plan, (limit, most))) = wrong {
        return Err(ConfigError::Wrong {
            name: "PLANS",
            value: format!("{limit} of {plan}"),
            allowed: format!("a whole number from 1 to {most}"),
        });
    }
    Ok(Plans::new(STANDARD, standard, others))
}
