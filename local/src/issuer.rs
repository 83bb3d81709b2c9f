use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use shared::tenancy::{Role, TenantId, UserId};
use time::{Duration, OffsetDateTime};

use crate::folder::DataFolder;

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
        let path = data.issuer_key();
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(&path)?,
            read => read?,
        };
        Ok(Self { key: EncodingKey::from_ed_der(&bytes) })
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

/// Makes a key. If another process made one at the same time, that one counts.
fn make_key(path: &Path) -> io::Result<Vec<u8>> {
    let key = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(io::Error::other)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(mut file) => {
            file.write_all(key.as_ref())?;
            Ok(key.as_ref().to_vec())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read(path),
        Err(error) => Err(error),
    }
}
