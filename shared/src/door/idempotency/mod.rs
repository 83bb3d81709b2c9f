//! Requests that may be repeated (draft-ietf-httpapi-idempotency-key-header).
//!
//! The first request with an `Idempotency-Key` leaves a record before it runs, and its answer there afterwards; a repetition
//! is answered from the record. Who repeats is recognised by tenant, user, method and path beside the key, all of them in
//! the place of the record, so a key that somebody else chose leads nowhere. The record is in the database and not in the
//! cache: what must not happen twice must not be forgotten.

mod answer;
mod fingerprint;
mod key;
mod record;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::answer::KeptAnswer;
use self::fingerprint::fingerprint;
use self::key::IdempotencyKey;
use self::record::{Begun, Claim, Records};
use crate::auth::Identity;
use crate::clients::DynamoDb;
use crate::config::IdempotencyConfig;
use crate::error::Error;
use crate::http::RequestId;
use crate::metrics;
use crate::signing::{Mac, Purpose, Signer};
use crate::tables::Key;

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const EXPIRES: HeaderName = HeaderName::from_static("idempotency-expires");
/// When to ask again for an answer that is being made: most are in a second.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The answers to requests that may be repeated. Clones share one client.
#[derive(Clone)]
pub struct Idempotency {
    inner: Arc<Inner>,
    /// After so long, a request without an answer counts as dead.
    lock: Duration,
}

struct Inner {
    records: Records,
    fingerprints: Mac,
}

impl Idempotency {
    /// The answers in this database.
    pub fn new(dynamodb: &DynamoDb, signer: &Signer, config: IdempotencyConfig) -> Self {
        let inner = Inner {
            records: Records::new(dynamodb, signer.sealer(Purpose::IdempotencyAnswer), config.keep),
            fingerprints: signer.mac(Purpose::IdempotencyFingerprint),
        };
        Self { inner: Arc::new(inner), lock: config.lock }
    }

    /// The same for a route whose requests may take so long.
    #[must_use]
    pub fn lasting(&self, time: Duration) -> Self {
        Self { inner: Arc::clone(&self.inner), lock: self.lock.max(time) }
    }

    /// Runs a request, unless its `Idempotency-Key` says that it ran already. A body has `max_body` bytes at most.
    pub(super) async fn once<F>(
        &self,
        identity: &Identity,
        max_body: usize,
        request: Request,
        run: impl FnOnce(Request) -> F,
    ) -> Result<Response, Error>
    where
        F: Future<Output = Result<Response, Error>>,
    {
        let Some(key) = IdempotencyKey::from_headers(request.headers())? else { return run(request).await };
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, max_body).await;
        let body = body.map_err(|_| Error::TooLarge(format!("The body may have {max_body} bytes.")))?;
        let hash = place(identity, parts.method.as_str(), parts.uri.path(), &key);
        let place = Key::idempotency(&identity.tenant, &hash);
        let asked = fingerprint(&parts, &body);
        let asked: Vec<&[u8]> = asked.iter().map(AsRef::as_ref).collect();
        let is_same = |signature: &[u8]| self.inner.fingerprints.verify(&asked, signature);
        let signature = self.inner.fingerprints.sign(&asked);

        match self.inner.records.begin(place, &signature, is_same, OffsetDateTime::now_utc(), self.lock).await? {
            Begun::First(claim) => {
                metrics::IDEMPOTENCY.add_of("first", 1);
                let path = parts.uri.path().to_owned();
                let id = parts.extensions.get().map_or_else(String::new, |RequestId(id)| id.clone());
                let request = Request::from_parts(parts, Body::from(body.clone()));
                let response = run(request).await.unwrap_or_else(IntoResponse::into_response);
                Ok(self.keep(&claim, response, &path, &id).await)
            }
            Begun::Answered(answer, expires) => {
                metrics::IDEMPOTENCY.add_of("replayed", 1);
                let mut response = answer.response();
                response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
                add_expiry(&mut response, expires);
                Ok(response)
            }
            Begun::Running => {
                metrics::IDEMPOTENCY.add_of("in_progress", 1);
                Err(Error::IdempotencyInProgress { retry_after: ASK_AGAIN })
            }
            Begun::Mismatch => {
                metrics::IDEMPOTENCY.add_of("mismatch", 1);
                Err(Error::IdempotencyMismatch)
            }
        }
    }

    /// Keeps an answer for repetitions, or lets them run if it is none to keep. What happened has happened, so nothing that
    /// fails here takes the answer from the caller.
    async fn keep(&self, claim: &Claim, response: Response, path: &str, request_id: &str) -> Response {
        let records = &self.inner.records;
        let (mut response, answer) = KeptAnswer::of(response, path, request_id).await;
        let done = match answer {
            Some(answer) => records.finish(claim, &answer).await,
            None => records.forget(claim).await,
        };
        match done {
            Ok(true) => add_expiry(&mut response, claim.expires),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(request_id, %error, "the record of a request that may be repeated is unfinished");
            }
        }
        response
    }
}

/// The place of a request's record among those of its tenant. It is not signed, so that a secret can be replaced while
/// requests are repeated.
fn place(identity: &Identity, method: &str, path: &str, key: &IdempotencyKey) -> String {
    let mut digest = Sha256::new();
    let api_key = identity.key().map_or_else(String::new, |id| id.to_string());
    for part in [identity.tenant.as_str(), identity.user.as_str(), &api_key, method, path, key.as_str()] {
        // With its length in front, so that no two requests have the same parts put together.
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    URL_SAFE_NO_PAD.encode(digest.finalize())
}

/// Says until when a repetition gets the same answer.
fn add_expiry(response: &mut Response, expires: OffsetDateTime) {
    if let Some(value) = expires.format(&Rfc3339).ok().and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert(EXPIRES, value);
    }
}
