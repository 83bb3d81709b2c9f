use std::io;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use shared::tenancy::{Role, TenantId, UserId};
use time::{Duration, OffsetDateTime};

use crate::folder::DataFolder;
use crate::secret;

/// The issuer in local tokens.
pub(crate) const ISSUER: &str = "ragline-local";
/// The audience in local tokens.
pub(crate) const AUDIENCE: &str = "ragline";
/// The tenant of whoever runs this machine.
pub(crate) const OPERATOR_TENANT: &str = "platform";

/// How long a local token is good.
const LIFETIME: Duration = Duration::days(30);
/// The name of the only key.
const KEY_ID: &str = "local";

/// Signs tokens for this machine with a key that never leaves its data folder.
pub struct Issuer {
    key: EncodingKey,
}

/// Whom a token speaks for.
#[derive(Debug, Clone)]
pub struct TokenClaims {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// The user's role.
    pub role: Role,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a UserId,
    tenant: &'a TenantId,
    role: Role,
    iat: i64,
    exp: i64,
}

impl Issuer {
    /// The issuer of a data folder; its key is made at first use.
    pub fn open(data: &DataFolder) -> io::Result<Self> {
        Ok(Self { key: EncodingKey::from_ed_der(&secret::kept(&data.issuer_key(), make_key)?) })
    }

    /// A signed token, good from `now` for 30 days.
    pub fn token(&self, claims: &TokenClaims, now: OffsetDateTime) -> Result<String, jsonwebtoken::errors::Error> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(KEY_ID.to_owned());
        let claims = Claims {
            iss: ISSUER,
            aud: AUDIENCE,
            sub: &claims.user,
            tenant: &claims.tenant,
            role: claims.role,
            iat: now.unix_timestamp(),
            exp: (now + LIFETIME).unix_timestamp(),
        };
        encode(&header, &claims, &self.key)
    }

    /// The public key as the issuer publishes it.
    pub(crate) fn keys(&self) -> Result<JwkSet, jsonwebtoken::errors::Error> {
        let mut key = Jwk::from_encoding_key(&self.key, Algorithm::EdDSA)?;
        key.common.key_id = Some(KEY_ID.to_owned());
        Ok(JwkSet { keys: vec![key] })
    }
}

fn make_key() -> io::Result<Vec<u8>> {
    let key = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(io::Error::other)?;
    Ok(key.as_ref().to_vec())
}
