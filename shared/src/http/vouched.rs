use std::collections::HashMap;

use serde_json::Value;
use time::OffsetDateTime;

use crate::auth::{Identity, Voucher};

/// A caller whom the authorizer has verified: an extension of the request, and no header. Only this file makes one, from
/// what API Gateway says of its authorizer.
#[derive(Debug, Clone)]
pub(crate) struct Vouched(Identity);

impl Vouched {
    /// The caller in `requestContext.authorizer`. If there is none, or none that can be understood, or the token has ended
    /// since, the request is as good as one without: its bearer token is verified.
    pub(super) fn from_context(fields: &HashMap<String, Value>, now: OffsetDateTime) -> Option<Self> {
        if fields.is_empty() {
            return None;
        }
        match serde_json::from_value::<Voucher>(Value::Object(fields.clone().into_iter().collect())) {
            Ok(voucher) => voucher.identity(now).map(Self),
            Err(error) => {
                tracing::warn!(%error, "the authorizer's context cannot be understood");
                None
            }
        }
    }

    /// The caller.
    pub(crate) fn identity(self) -> Identity {
        self.0
    }
}
