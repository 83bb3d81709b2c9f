use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use shared::tenancy::{TenantId, UserId};

/// How many answers this process makes, by tenant and user.
#[derive(Default)]
pub(super) struct Counts(Mutex<HashMap<TenantId, HashMap<UserId, u32>>>);

/// An answer that is counted, until it is dropped.
pub(super) struct Counted {
    counts: Arc<Counts>,
    tenant: TenantId,
    user: UserId,
}

impl Counts {
    /// Counts an answer; how many there are of the tenant and of the user with it.
    pub(super) fn count(counts: &Arc<Self>, tenant: &TenantId, user: &UserId) -> (Counted, u32, u32) {
        let mut tenants = counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        let users = tenants.entry(tenant.clone()).or_default();
        let count = users.entry(user.clone()).or_default();
        *count += 1;
        let of_user = *count;
        let of_tenant = users.values().sum();
        let counted = Counted { counts: Arc::clone(counts), tenant: tenant.clone(), user: user.clone() };
        (counted, of_tenant, of_user)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut tenants = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(users) = tenants.get_mut(&self.tenant) else { return };
        if let Some(count) = users.get_mut(&self.user) {
            *count -= 1;
        }
        users.retain(|_, count| *count > 0);
        if users.is_empty() {
            tenants.remove(&self.tenant);
        }
    }
}

/// A share of a limit, at least one.
pub(super) fn share(limit: u32, share: f32) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a number is no larger")]
    let shared = (f64::from(limit) * f64::from(share)).round() as u32;
    shared.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_counts_no_more() {
        let counts = Arc::default();
        let (acme, ada, bob) = ("acme".parse().unwrap(), "ada".parse().unwrap(), "bob".parse().unwrap());
        let count = |user| Counts::count(&counts, &acme, user);
        let (first, second) = (count(&ada), count(&bob));
        assert_eq!(((first.1, first.2), (second.1, second.2)), ((1, 1), (2, 1)));
        drop(first);
        let third = count(&bob);
        assert_eq!((third.1, third.2), (2, 2));
        drop((second, third));
        assert!(counts.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_share_is_never_nothing() {
        assert_eq!([share(10, 0.1), share(3, 0.1), share(100, 0.25), share(7, 1.0)], [1, 1, 25, 7]);
    }
}
