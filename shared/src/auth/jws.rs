use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::json::Unambiguous;
use super::key::Algorithm;

/// The longest token that is looked at, in bytes. Real ones are below 4 kB.
const MAX_TOKEN: usize = 16 * 1024;
/// What a token may say that it is: nothing, a JWT, or an access token (RFC 9068). An issuer signs other things with the
/// same keys, such as notices that somebody logged out.
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// A JSON Web Signature in its compact form (RFC 7515), taken apart. Nothing in it is to be believed before
/// [`super::key::Key::verifies`] was asked.
#[derive(Debug)]
pub(super) struct Jws<'a> {
    /// The algorithm it claims to be signed with.
    pub(super) algorithm: Algorithm,
    /// The key it claims to be signed with.
    pub(super) key_id: Option<String>,
    /// What it claims.
    pub(super) claims: Map<String, Value>,
    /// What is signed.
    pub(super) message: &'a [u8],
    /// The signature.
    pub(super) signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// The parts of a token, or why it is none that could hold.
    pub(super) fn parse(token: &'a str) -> Result<Self, &'static str> {
        if token.len() > MAX_TOKEN {
            return Err("the token is too long");
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("the token does not have three parts");
        };
        let message = &token.as_bytes()[..header.len() + 1 + claims.len()];
        // Keys that a header brings along or points to (`jwk`, `jku`, `x5c`, `x5u`) are never looked at.
        let header = object(header).ok_or("the token's header is not JSON")?;
        let text = |name: &str| header.get(name).map(|value| value.as_str().ok_or("the token's header is malformed"));
        // Each would have to be understood (RFC 7515, section 4.1.11), and none is.
        if header.contains_key("crit") {
            return Err("the token needs extensions");
        }
        if !text("typ").transpose()?.is_none_or(is_bearer_type) {
            return Err("the token is of another type");
        }
        Ok(Self {
            algorithm: text("alg")
                .transpose()?
                .and_then(Algorithm::from_name)
                .ok_or("the token's algorithm is not RS256, ES256 or EdDSA")?,
            key_id: text("kid").transpose()?.map(str::to_owned),
            claims: object(claims).ok_or("the token's claims are not JSON")?,
            message,
            signature: URL_SAFE_NO_PAD.decode(signature).map_err(|_| "the token's signature is not base64url")?,
        })
    }
}

fn is_bearer_type(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TYPES.contains(&name.strip_prefix("application/").unwrap_or(&name))
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    match serde_json::from_slice(&bytes) {
        Ok(Unambiguous(Value::Object(members))) => Some(members),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn the_parts_are_what_they_are() {
        let token = token(r#"{"alg":"ES256","kid":"a","jku":"https://evil.example"}"#, r#"{"sub":"ada"}"#);
        let jws = Jws::parse(&token).unwrap();
        assert_eq!((jws.algorithm, jws.key_id.as_deref()), (Algorithm::Es256, Some("a")));
        assert_eq!(jws.claims["sub"], "ada");
        assert_eq!(jws.message, token.rsplit_once('.').unwrap().0.as_bytes());
        assert_eq!(jws.signature, b"sig");
    }

    #[test]
    fn a_type_says_jwt_or_access_token_or_nothing() {
        let parse = |kind: &str| Jws::parse(&token(&format!(r#"{{"alg":"EdDSA","typ":{kind}}}"#), "{}")).is_ok();
        for kind in [r#""JWT""#, r#""jwt""#, r#""at+jwt""#, r#""application/at+jwt""#] {
            assert!(parse(kind), "{kind}");
        }
        for kind in [r#""logout+jwt""#, r#""dpop+jwt""#, r#""""#, "null", "1"] {
            assert!(!parse(kind), "{kind}");
        }
        assert!(Jws::parse(&token(r#"{"alg":"EdDSA"}"#, "{}")).is_ok());
    }
}
