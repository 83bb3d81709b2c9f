use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use time::OffsetDateTime;

use super::claim_set::ClaimSet;
use super::identity::Identity;
use super::jwks::Jwks;
use super::jws::Jws;
use crate::clients::ClientError;
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
        let token = bearer(headers).map_err(Error::Unauthenticated)?;
        self.verify(token).await
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

/// The only token in the headers. Of two, whoever stands in front of us may have looked at the other.
fn bearer(headers: &HeaderMap) -> Result<&str, &'static str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (Some(only), None) => only,
        (None, _) => return Err("no Authorization header"),
        (Some(_), Some(_)) => return Err("more than one Authorization header"),
    };
    let text = value.to_str().map_err(|_| "the Authorization header is not text")?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err("the Authorization header is not of the Bearer scheme");
    }
    Ok(token.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use http::HeaderValue;
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
        let verifier = TokenVerifier::new(AuthConfig::from_variables(&variables).unwrap()).unwrap();
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

    #[test]
    fn one_header_of_the_bearer_scheme_is_taken_and_nothing_else() {
        let read = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
            }
            bearer(&headers).map(str::to_owned)
        };
        for good in [&b"Bearer a.b.c"[..], b"bearer a.b.c", b"BEARER a.b.c", b"Bearer    a.b.c", b"Bearer a.b.c "] {
            assert_eq!(read(&[good]), Ok("a.b.c".to_owned()));
        }
        for bad in
            [&b""[..], b"Basic YTpi", b"Bearer\ta.b.c", b"Bearera.b.c", b"a.b.c", b"Bearer \xff", b" Bearer a.b.c"]
        {
            assert!(read(&[bad]).is_err(), "{bad:?}");
        }
        assert_eq!(read(&[b"Bearer"]), Ok(String::new()), "which is no token");
        assert_eq!(read(&[b"Bearer a, Bearer b"]), Ok("a, Bearer b".to_owned()), "which is none either");
        assert!(read(&[]).is_err());
        assert!(read(&[b"Bearer a.b.c", b"Bearer a.b.c"]).is_err());
        assert!(read(&[b"Bearer a.b.c", b"Basic YTpi"]).is_err());
    }
}
