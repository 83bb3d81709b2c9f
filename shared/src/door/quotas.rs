use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Error;
use crate::usage::Stock;

/// The time in which some document will be done.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// What a tenant may store.
///
/// They are compared with what is known to be stored, which follows from the stream of the main table and so lags by about a
/// second: uploads at the same moment may all pass the last of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Quotas {
    /// Documents.
    pub documents: u64,
    /// Bytes of their originals.
    pub storage_bytes: u64,
    /// Documents that wait for their bytes or are worked on.
    pub ingestions: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { documents: 100_000, storage_bytes: 100_000_000_000, ingestions: 10_000 }
    }
}

impl Quotas {
    /// The highest quota: a whole number that every JSON parser takes as it is.
    pub const MAX: u64 = (1 << 53) - 1;

    /// Whether there is room for a document more, if it is new, and for so many bytes.
    pub fn admit(&self, stock: &Stock, is_new: bool, bytes: u64) -> Result<(), Error> {
        // The records of one document may be worked off out of order, so that a sum is below zero for a moment.
        let known = |number: i64| u64::try_from(number).unwrap_or(0);
        if is_new && known(stock.documents) >= self.documents {
            return Err(Error::QuotaExceeded { quota: "documents", limit: self.documents });
        }
        if known(stock.storage_bytes).saturating_add(bytes) > self.storage_bytes {
            return Err(Error::QuotaExceeded { quota: "storage_bytes", limit: self.storage_bytes });
        }
        if known(stock.ingesting) >= self.ingestions {
            return Err(Error::TooManyIngestions { limit: self.ingestions, retry_after: RETRY_AFTER });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_full_when_it_is_reached() {
        let quotas = Quotas { documents: 2, storage_bytes: 10, ingestions: 1 };
        let stock = |documents, storage_bytes, ingesting| Stock { documents, storage_bytes, ingesting };
        let refused = |stock, is_new, bytes| match quotas.admit(&stock, is_new, bytes) {
            Ok(()) => "",
            Err(Error::QuotaExceeded { quota, .. }) => quota,
            Err(Error::TooManyIngestions { .. }) => "ingestions",
            Err(error) => panic!("{error}"),
        };
        assert_eq!(refused(stock(1, 5, 0), true, 5), "");
        assert_eq!(refused(stock(-1, -5, -1), true, 10), "");
        assert_eq!(refused(stock(2, 5, 0), true, 5), "documents");
        assert_eq!(refused(stock(2, 5, 0), false, 5), "", "a new version is no new document");
        assert_eq!(refused(stock(1, 5, 0), true, 6), "storage_bytes");
        assert_eq!(refused(stock(1, 5, 1), false, 1), "ingestions");
    }
}
