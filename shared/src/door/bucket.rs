//! A token bucket as one number, as in `bucket.lua`: for decisions that are taken without the cache.

use super::limits::Policy;

/// What taking tokens from a bucket comes to; all in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// The time to fill the bucket before.
    pub(super) before: u64,
    /// The time to fill it after.
    pub(super) after: u64,
    /// How long until the tokens are there; 0 if they are.
    pub(super) lacking: u64,
}

/// Looks at a bucket whose theoretical arrival time is `tat`.
pub(super) fn look(tat: u64, now: u64, cost: u64, policy: Policy) -> Look {
    let capacity = policy.interval() * policy.burst();
    let before = tat.saturating_sub(now).min(capacity);
    let after = before + cost.min(policy.burst()) * policy.interval();
    Look { before, after, lacking: after.saturating_sub(capacity) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// The bucket of the textbook: tokens, in fractions of `1 / interval`, and when they were last counted.
    struct Reference {
        interval: u128,
        burst: u128,
        tokens: u128,
        counted: u128,
    }

    impl Reference {
        fn new(policy: Policy) -> Self {
            let (interval, burst) = (u128::from(policy.interval()), u128::from(policy.burst()));
            Self { interval, burst, tokens: burst * interval, counted: 0 }
        }

        /// `None` if the tokens were taken, else how long until they are there.
        fn take(&mut self, now: u64, cost: u64) -> Option<u128> {
            let now = u128::from(now);
            self.tokens = (self.tokens + (now - self.counted)).min(self.burst * self.interval);
            self.counted = now;
            let wanted = u128::from(cost).min(self.burst) * self.interval;
            if self.tokens >= wanted {
                self.tokens -= wanted;
                None
            } else {
                Some(wanted - self.tokens)
            }
        }
    }

    proptest! {
        #[test]
        fn it_decides_as_the_textbooks_bucket_does(
            quota in 1_u32..5_000,
            window in 1_u64..7_200,
            requests in prop::collection::vec((0_u64..40_000_000, 1_u64..20), 1..200),
        ) {
            let policy = Policy { quota, window: Duration::from_secs(window) };
            let mut reference = Reference::new(policy);
            let (mut tat, mut now) = (0, 1);
            for (pause, cost) in requests {
                now += pause;
                let look = look(tat, now, cost, policy);
                let expected = reference.take(now, cost);
                prop_assert_eq!(u128::from(look.lacking), expected.unwrap_or(0));
                if look.lacking == 0 {
                    tat = now + look.after;
                } else {
                    // A moment before the time is too early, and at the time it is not.
                    prop_assert!(super::look(tat, now + look.lacking - 1, cost, policy).lacking > 0);
                    prop_assert_eq!(super::look(tat, now + look.lacking, cost, policy).lacking, 0);
                }
            }
        }

        #[test]
        fn a_clock_that_jumps_back_blocks_nobody_for_longer_than_a_window(
            quota in 1_u32..1_000,
            times in prop::collection::vec(1_000_000_000_u64..9_000_000_000, 2..50),
        ) {
            let policy = Policy { quota, window: Duration::from_mins(1) };
            let mut tat = 0;
            for now in times {
                let look = look(tat, now, 1, policy);
                prop_assert!(look.lacking <= policy.interval());
                if look.lacking == 0 {
                    tat = now + look.after;
                }
            }
        }
    }
}
