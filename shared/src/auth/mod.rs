//! Who is asking: bearer tokens of the configured OIDC issuer become a [`Principal`].

mod jwks;
mod verifier;

use axum::extract::{FromRef, FromRequestParts};
use http::header::AUTHORIZATION;
use http::request::Parts;

pub use verifier::TokenVerifier;

use crate::error::Error;
use crate::tenancy::Principal;

impl<S> FromRequestParts<S> for Principal
where
    S: Send + Sync,
    TokenVerifier: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let header = parts.headers.get(AUTHORIZATION).ok_or(Error::Unauthenticated("no Authorization header"))?;
        let text = header.to_str().map_err(|_| Error::Unauthenticated("the Authorization header is not text"))?;
        let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Error::Unauthenticated("the Authorization header is not of the Bearer scheme"));
        }
        TokenVerifier::from_ref(state).verify(token.trim()).await
    }
}
