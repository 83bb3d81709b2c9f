use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::quotas::Quotas;
use super::spending::Spending;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// So many tokens in a window: a bucket that holds `quota` tokens and is filled evenly once in each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The tokens.
    pub quota: u32,
    /// The time in which an empty bucket fills.
    pub window: Duration,
}

impl Policy {
    /// The time in which one token is added, in whole microseconds, rounded up so that no more is granted than allowed.
    pub fn interval(self) -> u64 {
        u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX).div_ceil(u64::from(self.quota.max(1)))
    }

    /// The tokens that a full bucket holds.
    pub fn burst(self) -> u64 {
        u64::from(self.quota.max(1))
    }

    /// A share of the policy, at least one token.
    pub(super) fn share(self, share: f32) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a number is no larger")]
        let quota = (f64::from(self.quota) * f64::from(share)).round() as u32;
        Self { quota: quota.max(1), ..self }
    }
}

/// Whose requests a policy counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// All from one address.
    Ip,
    /// All of one user.
    User,
    /// All of one tenant.
    Tenant,
}

impl Subject {
    /// The name of its policy.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::User => "user",
            Self::Tenant => "tenant",
        }
    }
}

/// The limits that hold for a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Limits {
    user_per_minute: u32,
    tenant_per_hour: u32,
    ip_per_minute: u32,
    #[serde(flatten)]
    quotas: Quotas,
    #[serde(flatten)]
    spending: Spending,
}

impl Limits {
    /// Limits from requests of a user in a minute, of the tenant in an hour and from an address in a minute; with the usual
    /// quotas and spending.
    pub fn new(user_per_minute: u32, tenant_per_hour: u32, ip_per_minute: u32) -> Self {
        let (quotas, spending) = (Quotas::default(), Spending::default());
        Self { user_per_minute, tenant_per_hour, ip_per_minute, quotas, spending }
    }

    /// The same limits with these quotas.
    #[must_use]
    pub fn with_quotas(self, quotas: Quotas) -> Self {
        Self { quotas, ..self }
    }

    /// The same limits with this spending.
    #[must_use]
    pub fn with_spending(self, spending: Spending) -> Self {
        Self { spending, ..self }
    }

    /// What the tenant may store.
    pub fn quotas(self) -> Quotas {
        self.quotas
    }

    /// What the tenant's answers may take.
    pub fn spending(self) -> Spending {
        self.spending
    }

    /// The policy for a subject.
    pub fn policy(self, subject: Subject) -> Policy {
        match subject {
            Subject::Ip => Policy { quota: self.ip_per_minute, window: MINUTE },
            Subject::User => Policy { quota: self.user_per_minute, window: MINUTE },
            Subject::Tenant => Policy { quota: self.tenant_per_hour, window: HOUR },
        }
    }
}

/// Limits of one tenant or plan that differ from those below it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LimitOverrides)]
pub struct Overrides {
    /// Requests of one user in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub user_per_minute: Option<u32>,
    /// Requests of the tenant in an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub tenant_per_hour: Option<u32>,
    /// Requests from one address in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub ip_per_minute: Option<u32>,
    /// Documents of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    pub documents: Option<u64>,
    /// Bytes of their originals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    pub storage_bytes: Option<u64>,
    /// Documents that wait for their bytes or are worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    pub ingestions: Option<u64>,
    /// Tokens of language models in a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    pub daily_tokens: Option<u64>,
    /// Answers that are being made for one user at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000)]
    pub user_streams: Option<u32>,
    /// Answers that are being made for the tenant at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000)]
    pub tenant_streams: Option<u32>,
}

impl Overrides {
    /// The highest limit: a bucket's time to fill stays exact in a double.
    pub const MAX: u32 = 10_000_000;

    /// The name of a limit that is not one, if any is, with the highest that it may be.
    pub fn out_of_range(&self) -> Option<(&'static str, u64)> {
        let rates = [
            ("user_per_minute", self.user_per_minute),
            ("tenant_per_hour", self.tenant_per_hour),
            ("ip_per_minute", self.ip_per_minute),
        ];
        let quotas = [
            ("documents", self.documents),
            ("storage_bytes", self.storage_bytes),
            ("ingestions", self.ingestions),
            ("daily_tokens", self.daily_tokens),
        ];
        let streams = [("user_streams", self.user_streams), ("tenant_streams", self.tenant_streams)];
        let rates = rates.map(|(name, limit)| (name, limit.map(u64::from), u64::from(Self::MAX)));
        let streams = streams.map(|(name, limit)| (name, limit.map(u64::from), u64::from(Spending::MAX_STREAMS)));
        let quotas = quotas.map(|(name, limit)| (name, limit, Quotas::MAX));
        rates
            .into_iter()
            .chain(quotas)
            .chain(streams)
            .find(|(_, limit, most)| limit.is_some_and(|limit| !(1..=*most).contains(&limit)))
            .map(|(name, _, most)| (name, most))
    }

    /// These limits, and the others where these say nothing.
    pub fn over(self, limits: Limits) -> Limits {
        Limits {
            user_per_minute: self.user_per_minute.unwrap_or(limits.user_per_minute),
            tenant_per_hour: self.tenant_per_hour.unwrap_or(limits.tenant_per_hour),
            ip_per_minute: self.ip_per_minute.unwrap_or(limits.ip_per_minute),
            quotas: Quotas {
                documents: self.documents.unwrap_or(limits.quotas.documents),
                storage_bytes: self.storage_bytes.unwrap_or(limits.quotas.storage_bytes),
                ingestions: self.ingestions.unwrap_or(limits.quotas.ingestions),
            },
            spending: Spending {
                daily_tokens: self.daily_tokens.unwrap_or(limits.spending.daily_tokens),
                user_streams: self.user_streams.unwrap_or(limits.spending.user_streams),
                tenant_streams: self.tenant_streams.unwrap_or(limits.spending.tenant_streams),
            },
        }
    }
}

/// The plans of a deployment.
#[derive(Debug, Clone)]
pub struct Plans {
    standard: &'static str,
    plans: BTreeMap<String, Limits>,
}

impl Plans {
    /// The standard plan under its name, and the others by what they change of it.
    pub fn new(standard: &'static str, limits: Limits, others: BTreeMap<String, Overrides>) -> Self {
        let mut plans: BTreeMap<_, _> =
            others.into_iter().map(|(name, overrides)| (name, overrides.over(limits))).collect();
        plans.entry(standard.to_owned()).or_insert(limits);
        Self { standard, plans }
    }

    /// The name of the plan of a tenant that was given none.
    pub fn standard(&self) -> &'static str {
        self.standard
    }

    /// The limits of a plan, if there is one by this name.
    pub fn get(&self, name: &str) -> Option<Limits> {
        self.plans.get(name).copied()
    }

    /// The limits of a plan; of the standard one if there is none by this name.
    pub fn limits(&self, name: &str) -> Limits {
        self.get(name).or_else(|| self.get(self.standard)).unwrap_or(Limits::new(1, 1, 1))
    }

    /// The names of all plans.
    pub fn names(&self) -> Vec<&str> {
        self.plans.keys().map(String::as_str).collect()
    }
}

/// How a bucket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Whose it is.
    pub(super) subject: Subject,
    /// What it allows.
    pub(super) policy: Policy,
    /// The time until it is full, in microseconds.
    pub(super) fill: u64,
}

impl Standing {
    /// The tokens in it.
    pub(super) fn remaining(&self) -> u64 {
        let interval = self.policy.interval();
        (interval * self.policy.burst()).saturating_sub(self.fill) / interval
    }

    /// Whole seconds until it holds one token more, 0 if it is full.
    pub(super) fn reset(&self) -> u64 {
        let interval = self.policy.interval();
        let room = (interval * self.policy.burst()).saturating_sub(self.fill);
        if self.fill == 0 { 0 } else { (interval - room % interval).min(self.fill).div_ceil(1_000_000) }
    }
}

/// How the buckets stand that a request was counted in: handlers find it among the extensions of the request.
#[derive(Debug, Clone)]
pub struct Standings(Arc<[Standing]>);

/// How one bucket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct LimitStatus {
    /// Whose requests it counts.
    pub name: &'static str,
    /// The tokens it holds when it is full.
    pub quota: u32,
    /// The time in which it fills, in seconds.
    pub window_seconds: u64,
    /// The tokens in it.
    pub remaining: u64,
    /// Seconds until there is one more, 0 if it is full.
    pub reset_seconds: u64,
}

impl Standings {
    pub(super) fn new(standings: &[Standing]) -> Self {
        Self(standings.into())
    }

    /// Each of them.
    pub fn status(&self) -> Vec<LimitStatus> {
        let status = |standing: &Standing| LimitStatus {
            name: standing.subject.name(),
            quota: standing.policy.quota,
            window_seconds: standing.policy.window.as_secs(),
            remaining: standing.remaining(),
            reset_seconds: standing.reset(),
        };
        self.0.iter().map(status).collect()
    }
}

/// The values of `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers).
pub(super) struct Headers<'a>(pub(super) &'a [Standing]);

impl Headers<'_> {
    /// The value of `RateLimit-Policy`: quota and window in seconds.
    pub(super) fn policies(&self) -> String {
        let policy =
            |s: &Standing| format!("\"{}\";q={};w={}", s.subject.name(), s.policy.quota, s.policy.window.as_secs());
        self.0.iter().map(policy).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Headers<'_> {
    /// The value of `RateLimit`: what remains, and the seconds until there is more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, s) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}\"{}\";r={};t={}", s.subject.name(), s.remaining(), s.reset())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_structured_lists() {
        let limits = Limits::new(60, 1_000, 300);
        let standing = |subject, fill| Standing { subject, policy: limits.policy(subject), fill };
        let standings = [standing(Subject::User, 42_500_000), standing(Subject::Tenant, 216_000_000)];
        let headers = Headers(&standings);
        assert_eq!(headers.policies(), "\"user\";q=60;w=60, \"tenant\";q=1000;w=3600");
        assert_eq!(headers.to_string(), "\"user\";r=17;t=1, \"tenant\";r=940;t=4");
        assert_eq!(Headers(&[standing(Subject::Ip, 0)]).to_string(), "\"ip\";r=300;t=0");
    }

    #[test]
    fn a_plan_changes_what_it_names_and_an_unknown_one_is_the_standard() {
        let pro = Overrides { user_per_minute: Some(600), ..Overrides::default() };
        let plans = Plans::new("standard", Limits::new(60, 1_000, 300), [("pro".to_owned(), pro)].into());
        assert_eq!(plans.limits("pro"), Limits::new(600, 1_000, 300));
        assert_eq!(plans.limits("gone"), Limits::new(60, 1_000, 300));
        assert_eq!(plans.names(), ["pro", "standard"]);
    }

    #[test]
    fn a_share_of_a_policy_is_never_nothing() {
        let policy = Limits::new(3, 1_000, 300).policy(Subject::User);
        assert_eq!(policy.share(0.25).quota, 1);
        assert_eq!(Limits::new(60, 1_000, 300).policy(Subject::User).share(0.25).quota, 15);
    }
}
