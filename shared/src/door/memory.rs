use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::bucket;
use super::limits::{Policy, Standing, Subject};
use crate::tenancy::{TenantId, UserId};

/// The most buckets that are remembered; when there are more, those that matter no more are forgotten, or all.
const MAX_BUCKETS: usize = 10_000;

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum BucketKey {
    Ip(IpAddr),
    Tenant(TenantId),
    User(TenantId, UserId),
}

impl BucketKey {
    pub(super) fn subject(&self) -> Subject {
        match self {
            Self::Ip(_) => Subject::Ip,
            Self::Tenant(_) => Subject::Tenant,
            Self::User(..) => Subject::User,
        }
    }

    /// Its key in the cache. The buckets of a tenant are in the tenant's slot, that of an address in its own.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Ip(ip) => format!("{{ip:{ip}}}:bucket"),
            Self::Tenant(tenant) => format!("{{{tenant}}}:bucket"),
            Self::User(tenant, user) => format!("{{{tenant}}}:bucket:{user}"),
        }
    }
}

/// A refusal that is known to hold for a while.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// How long it is repeated without asking.
    pub(super) until: Instant,
    /// When the bucket has the tokens.
    pub(super) lacks_until: Instant,
    /// The tokens.
    pub(super) cost: u64,
    /// What the bucket allows.
    pub(super) policy: Policy,
}

/// What one process knows by itself: buckets that are empty for now, and buckets for when the cache is away.
#[derive(Default)]
pub(super) struct Memory {
    refusals: Mutex<HashMap<BucketKey, Refusal>>,
    buckets: Mutex<HashMap<BucketKey, Instant>>,
    policies: Mutex<HashMap<TenantId, Policy>>,
}

impl Memory {
    /// Remembers that a bucket lacks tokens.
    pub(super) fn refuse(&self, key: BucketKey, refusal: Refusal, now: Instant) {
        let mut refusals = lock(&self.refusals);
        bound(&mut refusals, |refusal| refusal.until > now);
        refusals.insert(key, refusal);
    }

    /// How a bucket stands that is known to lack the tokens, and for how long it will.
    pub(super) fn refusal(&self, key: &BucketKey, cost: u64, now: Instant) -> Option<(Standing, Duration)> {
        let mut refusals = lock(&self.refusals);
        let refusal = refusals.get(key)?.clone();
        if refusal.until <= now {
            refusals.remove(key);
            return None;
        }
        let interval = refusal.policy.interval();
        let more = cost.checked_sub(refusal.cost)? * interval;
        let lacking = refusal.lacks_until.saturating_duration_since(now);
        let capacity = interval * refusal.policy.burst();
        let fill = (capacity + micros(lacking)).saturating_sub(refusal.cost * interval);
        let standing = Standing { subject: key.subject(), policy: refusal.policy, fill };
        Some((standing, lacking + Duration::from_micros(more)))
    }

    /// Takes tokens from all of these buckets, or from none. Gives how they stand, and those that lack tokens with the
    /// time until they have them.
    pub(super) fn take(
        &self,
        buckets: &[(BucketKey, Policy)],
        cost: u64,
        now: Instant,
    ) -> (Vec<Standing>, Vec<(Subject, Duration)>) {
        let mut full_at = lock(&self.buckets);
        bound(&mut full_at, |at| *at > now);
        let looks: Vec<_> = buckets
            .iter()
            .map(|(key, policy)| {
                let tat = full_at.get(key).map_or(0, |at| micros(at.saturating_duration_since(now)));
                bucket::look(tat, 0, cost, *policy)
            })
            .collect();
        let lacking: Vec<_> = buckets
            .iter()
            .zip(&looks)
            .filter(|(_, look)| look.lacking > 0)
            .map(|((key, _), look)| (key.subject(), Duration::from_micros(look.lacking)))
            .collect();
        let standings = buckets
            .iter()
            .zip(&looks)
            .map(|((key, policy), look)| {
                let fill = if lacking.is_empty() { look.after } else { look.before };
                Standing { subject: key.subject(), policy: *policy, fill }
            })
            .collect();
        if lacking.is_empty() {
            for ((key, _), look) in buckets.iter().zip(&looks) {
                full_at.insert(key.clone(), now + Duration::from_micros(look.after));
            }
        }
        (standings, lacking)
    }

    /// The policy for addresses that a tenant had last.
    pub(super) fn ip_policy(&self, tenant: &TenantId) -> Option<Policy> {
        lock(&self.policies).get(tenant).copied()
    }

    /// Remembers the policy for addresses that a tenant has.
    pub(super) fn set_ip_policy(&self, tenant: &TenantId, policy: Policy) {
        let mut policies = lock(&self.policies);
        bound(&mut policies, |_| false);
        policies.insert(tenant.clone(), policy);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn bound<K: Eq + std::hash::Hash, V>(map: &mut HashMap<K, V>, matters: impl Fn(&V) -> bool) {
    if map.len() >= MAX_BUCKETS {
        map.retain(|_, value| matters(value));
        if map.len() >= MAX_BUCKETS {
            map.clear();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(user: &str) -> BucketKey {
        BucketKey::User("acme".parse().unwrap(), user.parse().unwrap())
    }

    #[test]
    fn tokens_are_taken_from_all_buckets_or_from_none() {
        let memory = Memory::default();
        let policy = |quota| Policy { quota, window: Duration::from_mins(1) };
        let tenant = (BucketKey::Tenant("acme".parse().unwrap()), policy(3));
        let (ada, bob) = ((key("ada"), policy(2)), (key("bob"), policy(2)));
        let now = Instant::now();
        let take = |user: &(BucketKey, Policy)| memory.take(&[tenant.clone(), user.clone()], 1, now);
        assert!(take(&ada).1.is_empty());
        assert!(take(&ada).1.is_empty());
        let (standings, lacking) = take(&ada);
        assert_eq!(lacking, [(Subject::User, Duration::from_secs(30))]);
        assert_eq!(standings[0].remaining(), 1, "the tenant's token is still there");
        assert!(take(&bob).1.is_empty());
        assert_eq!(take(&bob).1, [(Subject::Tenant, Duration::from_secs(20))]);
    }

    #[test]
    fn a_refusal_is_repeated_until_its_time_and_for_no_smaller_cost() {
        let memory = Memory::default();
        let (policy, now) = (Policy { quota: 2, window: Duration::from_mins(1) }, Instant::now());
        let second = Duration::from_secs(1);
        let refusal = Refusal { until: now + second, lacks_until: now + second * 5, cost: 2, policy };
        memory.refuse(key("ada"), refusal, now);
        let (standing, lacking) = memory.refusal(&key("ada"), 2, now).unwrap();
        assert_eq!((standing.remaining(), lacking), (1, second * 5), "not only until it is forgotten");
        assert!(memory.refusal(&key("ada"), 1, now).is_none());
        assert!(memory.refusal(&key("bob"), 2, now).is_none());
        assert!(memory.refusal(&key("ada"), 2, now + second).is_none());
    }
}
