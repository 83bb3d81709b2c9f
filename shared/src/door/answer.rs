use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use sha2::{Digest, Sha256};

use crate::auth::{Credential, Identity};
use crate::tenancy::TenantId;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// Only the caller may keep the answer, and must ask each time whether it still holds.
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// A whole answer with the status 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// A strong entity tag (RFC 9110): the hash of the body.
    pub(super) etag: String,
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn new(content_type: String, body: Bytes) -> Self {
        let digest = URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..16]);
        Self { etag: format!("\"{digest}\""), content_type, body }
    }

    /// The answer as `fill.lua` stored it, and when it ends on the server's clock: `epoch expires took etag type`.
    pub(super) fn from_stored(meta: &str, body: Bytes) -> Option<(Self, u64)> {
        let mut parts = meta.splitn(5, ' ');
        let expires = parts.nth(1)?.parse().ok()?;
        let etag = parts.nth(1)?.to_owned();
        Some((Self { etag, content_type: parts.next()?.to_owned(), body }, expires))
    }

    /// The answer to a request; 304 without a body if the caller has it already.
    pub(super) fn response(&self, method: &Method, headers: &HeaderMap, status: &CacheStatus) -> Response {
        let mut response = Response::new(Body::empty());
        if *method == Method::GET && self.is_known_by(headers) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            *response.body_mut() = Body::from(self.body.clone());
            if let Ok(kind) = HeaderValue::from_str(&self.content_type) {
                response.headers_mut().insert(CONTENT_TYPE, kind);
            }
        }
        if let Ok(etag) = HeaderValue::from_str(&self.etag) {
            response.headers_mut().insert(ETAG, etag);
        }
        response.headers_mut().insert(CACHE_CONTROL, PRIVATE);
        status.add_to(&mut response);
        response
    }

    fn is_known_by(&self, headers: &HeaderMap) -> bool {
        headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(',')).any(
            |tag| {
                let tag = tag.trim();
                tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag
            },
        )
    }
}

/// What the cache had to do with an answer (RFC 9211).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CacheStatus {
    /// It had it, for so much longer.
    Hit(Duration),
    /// It did not have it.
    Miss { stored: bool },
    /// What it had is from before a change.
    Stale { stored: bool },
    /// The caller wanted a new one.
    Request { stored: bool },
    /// Somebody else was computing it.
    Collapsed,
    /// It could not be asked.
    Bypass,
}

impl CacheStatus {
    /// The word it is counted by.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Hit(_) => "hit",
            Self::Miss { .. } | Self::Request { .. } => "miss",
            Self::Stale { .. } => "stale",
            Self::Collapsed => "collapsed",
            Self::Bypass => "bypass",
        }
    }

    pub(super) fn add_to(&self, response: &mut Response) {
        if let Ok(value) = HeaderValue::from_str(&self.to_string()) {
            response.headers_mut().insert(CACHE_STATUS, value);
        }
    }
}

impl fmt::Display for CacheStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reason, stored) = match self {
            Self::Hit(ttl) => return write!(f, "ragline; hit; ttl={}", ttl.as_secs()),
            Self::Collapsed => return f.write_str("ragline; fwd=miss; collapsed"),
            Self::Bypass => return f.write_str("ragline; fwd=bypass; detail=redis"),
            Self::Miss { stored } => ("miss", stored),
            Self::Stale { stored } => ("stale", stored),
            Self::Request { stored } => ("request", stored),
        };
        write!(f, "ragline; fwd={reason}{}", if *stored { "; stored" } else { "" })
    }
}

/// The key of the answers to a request, in the tenant's slot: the hash of all that the answer depends on, but for the
/// permission set. A personal answer also depends on who asks, and on what the token says of them.
pub(super) fn key(identity: &Identity, personal: bool, method: &Method, uri: &Uri, body: &[u8]) -> String {
    let mut digest = Sha256::new();
    let mut add = |part: &str| {
        // With its length in front, so that no two requests have the same parts put together.
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    };
    if personal {
        add(identity.user.as_str());
        match &identity.credential {
            Credential::Token(claims) => {
                add(claims.email.as_deref().unwrap_or_default());
                add(claims.name.as_deref().unwrap_or_default());
            }
            Credential::Key(id) => add(&id.to_string()),
        }
    }
    for part in [method.as_str(), uri.path(), uri.query().unwrap_or_default()] {
        add(part);
    }
    digest.update(body);
    named(&identity.tenant, "answer", digest)
}

/// The key of what is kept about something on the way to answers, in the tenant's slot.
pub(super) fn recalled(tenant: &TenantId, about: &str) -> String {
    named(tenant, "recall", Sha256::new_with_prefix(about))
}

fn named(tenant: &TenantId, kind: &str, digest: Sha256) -> String {
    format!("{{{tenant}}}:{kind}:{}", URL_SAFE_NO_PAD.encode(&digest.finalize()[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Claims;
    use crate::tenancy::{KeyId, Role};

    fn tags(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn who_has_the_answer_gets_304_and_no_body() {
        let answer = Answer::new("application/json".to_owned(), "{}".into());
        let status = CacheStatus::Hit(Duration::from_secs(9));
        let ask = |headers: &HeaderMap, method| answer.response(&method, headers, &status).status().as_u16();
        assert_eq!(ask(&tags(&answer.etag), Method::GET), 304);
        assert_eq!(ask(&tags(&format!("\"x\", W/{}", answer.etag)), Method::GET), 304);
        assert_eq!(ask(&tags("*"), Method::GET), 304);
        assert_eq!(ask(&tags("\"x\""), Method::GET), 200);
        assert_eq!(ask(&tags(&"\"x\",".repeat(1_000)), Method::GET), 200);
        assert_eq!(ask(&HeaderMap::new(), Method::GET), 200);
        assert_eq!(ask(&tags("*"), Method::POST), 200, "a search is not a resource");
    }

    #[test]
    fn a_stored_answer_is_read_back() {
        let answer = Answer::new("application/json; charset=utf-8".to_owned(), "{}".into());
        let meta = format!("01EPOCH 1790000000000000 1500 {} {}", answer.etag, answer.content_type);
        assert_eq!(Answer::from_stored(&meta, "{}".into()), Some((answer, 1_790_000_000_000_000)));
        assert_eq!(Answer::from_stored("nonsense", "{}".into()), None);
    }

    #[test]
    fn keys_differ_by_all_that_answers_depend_on() {
        let identity = |tenant: &str, user: &str, name: &str| Identity {
            tenant: tenant.parse().unwrap(),
            user: user.parse().unwrap(),
            credential: Credential::Token(Claims { role: Role::Viewer, email: None, name: Some(name.to_owned()) }),
            expires_at: None,
        };
        let (ada, bob) = (identity("acme", "ada", "Ada"), identity("acme", "bob", "Bob"));
        let key_of_ada = Identity { credential: Credential::Key(KeyId::new()), ..ada.clone() };
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        let (get, post) = (Method::GET, Method::POST);
        let shared = |who: &Identity| key(who, false, &get, &uri("/documents"), b"");
        let personal = |who: &Identity| key(who, true, &get, &uri("/documents"), b"");
        assert_eq!(shared(&ada), shared(&bob));
        let keys = [
            shared(&ada),
            shared(&identity("other", "ada", "Ada")),
            personal(&ada),
            personal(&bob),
            personal(&key_of_ada),
            personal(&identity("acme", "ada", "Ada L.")),
            key(&ada, false, &post, &uri("/documents"), b""),
            key(&ada, false, &get, &uri("/documents/"), b""),
            key(&ada, false, &get, &uri("/documents?limit=1"), b""),
            key(&ada, false, &get, &uri("/documents?limit=2"), b""),
            key(&ada, false, &get, &uri("/documents"), b"x"),
        ];
        assert_eq!(std::collections::BTreeSet::from(keys).len(), 11);
    }

    #[test]
    fn the_status_is_what_rfc_9211_says() {
        let text = |status: CacheStatus| status.to_string();
        assert_eq!(text(CacheStatus::Hit(Duration::from_millis(43_900))), "ragline; hit; ttl=43");
        assert_eq!(text(CacheStatus::Stale { stored: true }), "ragline; fwd=stale; stored");
        assert_eq!(text(CacheStatus::Bypass), "ragline; fwd=bypass; detail=redis");
    }
}
