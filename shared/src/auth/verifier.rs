use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::identity::{Claims, Credential, Identity};
use super::jwks::Jwks;
use crate::clients::ClientError;
use crate::config::AuthConfig;
use crate::error::Error;
use crate::tenancy::{Role, TenantId};

/// The longest token that is looked at, in bytes. Real ones are below 4 kB.
const MAX_TOKEN: usize = 16 * 1024;
/// How far the issuer's clock may be off, in seconds.
const CLOCK_SKEW: u64 = 30;
/// The last second of the year 9999, after which RFC 3339 has no times. A token may end later, but need not be known to.
const LAST_TIME: f64 = 253_402_300_799.0;

/// Verifies JSON Web Tokens (RFC 7519) of one issuer by its published keys.
#[derive(Debug, Clone)]
pub struct TokenVerifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: AuthConfig,
    jwks: Jwks,
}

impl TokenVerifier {
    /// A verifier that has fetched no key yet.
    pub fn new(config: AuthConfig) -> Result<Self, ClientError> {
        let jwks = Jwks::new(config.jwks_url.clone())?;
        Ok(Self(Arc::new(Inner { config, jwks })))
    }

    /// Fetches the issuer's keys ahead of the first token.
    pub async fn warm(&self) {
        self.0.jwks.refresh().await;
    }

    /// The caller whose bearer token (RFC 6750) is among the headers.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, Error> {
        let header = headers.get(AUTHORIZATION).ok_or(Error::Unauthenticated("no Authorization header"))?;
        let text = header.to_str().map_err(|_| Error::Unauthenticated("the Authorization header is not text"))?;
        let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Error::Unauthenticated("the Authorization header is not of the Bearer scheme"));
        }
        self.verify(token.trim()).await
    }

    /// The caller a token speaks for. The reason of a refusal is for the log, not for the caller.
    pub async fn verify(&self, token: &str) -> Result<Identity, Error> {
        if token.len() > MAX_TOKEN {
            return Err(Error::Unauthenticated("the token is too long"));
        }
        let header = decode_header(token).map_err(|_| Error::Unauthenticated("the token is not a JWT"))?;
        if !matches!(header.alg, Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA) {
            return Err(Error::Unauthenticated("the token's algorithm is not RS256, ES256 or EdDSA"));
        }
        let key = self.0.jwks.find(header.kid.as_deref()).await?;
        let key = key.ok_or(Error::Unauthenticated("no key of the issuer fits the token"))?;
        // The key decides which algorithm is right, never the token, or a public key could be used as a shared secret.
        let algorithm = algorithm_of(&key).ok_or(Error::Unauthenticated("the issuer's key is of an unused kind"))?;
        let mut validation = Validation::new(algorithm);
        validation.leeway = CLOCK_SKEW;
        validation.validate_nbf = true;
        validation.set_audience(&[&self.0.config.audience]);
        validation.set_issuer(&[&self.0.config.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let key = DecodingKey::from_jwk(&key).map_err(|_| Error::Unauthenticated("the issuer's key cannot be used"))?;
        let claims = decode::<Map<String, Value>>(token, &key, &validation)
            .map_err(|_| Error::Unauthenticated("the token's signature or claims do not hold"))?
            .claims;
        self.identity(&claims)
    }

    fn identity(&self, claims: &Map<String, Value>) -> Result<Identity, Error> {
        let config = &self.0.config;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let tenant: Option<TenantId> = text(&config.tenant_claim).and_then(|claim| claim.parse().ok());
        let role = match text(&config.role_claim) {
            None => Role::Viewer,
            Some(claim) => {
                claim.parse().map_err(|()| Error::Unauthenticated("the token's role is not one of Ragline's"))?
            }
        };
        Ok(Identity {
            tenant: tenant.ok_or(Error::Unauthenticated("the token names no valid tenant"))?,
            user: text("sub")
                .and_then(|subject| subject.parse().ok())
                .ok_or(Error::Unauthenticated("the token's subject is not a valid user"))?,
            credential: Credential::Token(Claims {
                role,
                expires_at: expiry(claims).ok_or(Error::Unauthenticated("the token does not say when it ends"))?,
                email: text(&config.email_claim).map(str::to_owned),
                name: text("name").map(str::to_owned),
            }),
        })
    }
}

/// When a token with these claims ends: a number of seconds, maybe with a fraction (RFC 7519, `NumericDate`).
fn expiry(claims: &Map<String, Value>) -> Option<OffsetDateTime> {
    let seconds = claims.get("exp").and_then(Value::as_f64)?.clamp(0.0, LAST_TIME);
    #[expect(clippy::cast_possible_truncation, reason = "the end of a token is in whole seconds")]
    OffsetDateTime::from_unix_timestamp(seconds as i64).ok()
}

fn algorithm_of(key: &Jwk) -> Option<Algorithm> {
    match &key.algorithm {
        AlgorithmParameters::RSA(_) => Some(Algorithm::RS256),
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => Some(Algorithm::ES256),
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => Some(Algorithm::EdDSA),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Variables;

    #[test]
    fn a_token_ends_in_the_second_that_it_names() {
        let ends = |exp: Value| Some(expiry(&Map::from_iter([("exp".to_owned(), exp)]))?.unix_timestamp());
        assert_eq!(ends(1_795_000_000.into()), Some(1_795_000_000));
        assert_eq!(ends(1_795_000_000.9.into()), Some(1_795_000_000));
        assert_eq!(ends(0.into()), Some(0));
        assert_eq!(ends(1e300.into()), Some(253_402_300_799));
        assert_eq!(ends("1795000000".into()), None);
        assert_eq!(expiry(&Map::new()), None);
    }

    #[tokio::test]
    async fn while_the_issuer_is_away_a_token_is_not_refused_but_not_believed_either() {
        let variables = Variables::from_pairs([
            ("JWT_ISSUER", "https://issuer.example"),
            ("JWT_AUDIENCE", "ragline"),
            // A port that nothing listens on.
            ("JWKS_URL", "http://127.0.0.1:9/jwks.json"),
        ]);
        let verifier = TokenVerifier::new(AuthConfig::from_variables(&variables).unwrap()).unwrap();
        let token = "eyJhbGciOiJFZERTQSIsImtpZCI6ImEifQ.e30.c2lnbmF0dXJl";
        for _ in 0..2 {
            assert!(matches!(verifier.verify(token).await, Err(Error::Unavailable { .. })));
        }
        assert!(matches!(verifier.verify("no token").await, Err(Error::Unauthenticated(_))));
    }
}
