use std::sync::Arc;

use time::OffsetDateTime;

use super::claim_set::ClaimSet;
use super::identity::Identity;
use super::jwks::Jwks;
use super::jws::Jws;
use crate::config::AuthConfig;
use crate::error::Error;

/// Verifies JSON Web Tokens (RFC 7519, with the advice of RFC 8725) of one issuer by its published keys.
#[derive(Debug, Clone)]
pub struct TokenVerifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: AuthConfig,
    jwks: Jwks,
}

impl TokenVerifier {
    /// A verifier that has fetched no key yet.
    pub fn new(config: AuthConfig) -> Self {
        let jwks = Jwks::new(config.jwks_url.clone());
        Self(Arc::new(Inner { config, jwks }))
    }

    /// Fetches the issuer's keys ahead of the first token.
    pub async fn warm(&self) {
        self.0.jwks.refresh().await;
    }

    /// The caller a token speaks for. The reason of a refusal is for the log, not for the caller.
    pub async fn verify(&self, token: &str) -> Result<Identity, Error> {
        self.verify_at(token, OffsetDateTime::now_utc()).await
    }

    async fn verify_at(&self, token: &str, now: OffsetDateTime) -> Result<Identity, Error> {
        let Inner { config, jwks } = self.0.as_ref();
        let token = Jws::parse(token).map_err(Error::Unauthenticated)?;
        let claims = ClaimSet::new(&token.claims, config);
        // Before a key is looked for, so that only what may be a token of the issuer can make us ask it for keys.
        claims.check(now).map_err(Error::Unauthenticated)?;
        let key = jwks.find(token.key_id.as_deref(), token.algorithm).await?;
        let key = key.ok_or(Error::Unauthenticated("no key of the issuer fits the token"))?;
        if !key.verifies(token.message, &token.signature) {
            return Err(Error::Unauthenticated("the token's signature does not hold"));
        }
        claims.identity().map_err(Error::Unauthenticated)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;
    use crate::config::Variables;

    #[tokio::test]
    async fn while_the_issuer_is_away_a_token_is_not_refused_but_not_believed_either() {
        let variables = Variables::from_pairs([
            ("JWT_ISSUER", "https://issuer.example"),
            ("JWT_AUDIENCE", "ragline"),
            // A port that nothing listens on.
            ("JWKS_URL", "http://127.0.0.1:9/jwks.json"),
        ]);
        let verifier = TokenVerifier::new(AuthConfig::from_variables(&variables).unwrap());
        let (now, later) = (OffsetDateTime::UNIX_EPOCH, OffsetDateTime::UNIX_EPOCH + time::Duration::days(1));
        let token = [
            json!({ "alg": "EdDSA", "kid": "a" }),
            json!({ "iss": "https://issuer.example", "aud": "ragline", "exp": 60, "sub": "ada", "tenant": "acme" }),
        ];
        let token = token.map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".") + ".c2lnbmF0dXJl";
        for _ in 0..2 {
            assert!(matches!(verifier.verify_at(&token, now).await, Err(Error::Unavailable { .. })));
        }
        assert!(matches!(
            verifier.verify_at(&token, later).await,
            Err(Error::Unauthenticated("the token has expired"))
        ));
        assert!(matches!(verifier.verify("no token").await, Err(Error::Unauthenticated(_))));
    }
}
