use http::HeaderMap;
use time::OffsetDateTime;

use super::bearer::bearer;
use super::{Identity, TokenVerifier};
use crate::error::Error;
use crate::keys::{KeyRing, Secret};

/// Finds out who is asking, by whatever credential.
#[derive(Debug, Clone)]
pub struct Authenticator {
    tokens: TokenVerifier,
    keys: KeyRing,
}

impl Authenticator {
    /// Believes the issuer's tokens, and these keys.
    pub fn new(tokens: TokenVerifier, keys: KeyRing) -> Self {
        Self { tokens, keys }
    }

    /// Fetches the issuer's keys ahead of the first token.
    pub async fn warm(&self) {
        self.tokens.warm().await;
    }

    /// Whom the bearer credential (RFC 6750) among the headers speaks for. The reason of a refusal is for the log, not for
    /// the caller.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, Error> {
        let text = bearer(headers).map_err(Error::Unauthenticated)?;
        if !Secret::is_meant_by(text) {
            return self.tokens.verify(text).await;
        }
        self.keys.find(text, OffsetDateTime::now_utc()).await
    }
}
