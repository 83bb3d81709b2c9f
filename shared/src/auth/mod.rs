//! Who is asking: a token of the configured OIDC issuer or an API key becomes an [`Identity`], and the door makes a
//! [`Principal`] of it.

mod authenticator;
mod bearer;
mod claim_set;
mod identity;
mod json;
mod jwks;
mod jws;
mod key;
mod verifier;
mod voucher;

use axum::extract::FromRequestParts;
use http::request::Parts;

pub use authenticator::Authenticator;
pub use identity::{Claims, Credential, Identity};
pub use verifier::TokenVerifier;
pub use voucher::Voucher;

use crate::error::Error;
use crate::tenancy::Principal;

/// The caller whom the door let in.
impl<S> FromRequestParts<S> for Principal
where
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        parts.extensions.get().cloned().ok_or_else(|| Error::internal("a route without a door asks who is there"))
    }
}
