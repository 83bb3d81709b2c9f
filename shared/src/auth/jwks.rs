use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{Jwk, JwkSet};
use tokio::sync::Mutex;
use url::Url;

use crate::clients::ClientError;
use crate::error::Error;

/// The shortest time between two fetches while there are keys: a flood of tokens with made-up key ids must not become a
/// flood of requests.
const REFRESH_INTERVAL: Duration = Duration::from_secs(30);
/// The shortest time between two fetches while there are none and nobody can sign in.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// For the issuer to answer.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// The issuer's keys. Fetched at first use and again for an unknown key id; a set that was good once is kept while the
/// issuer is away.
#[derive(Debug)]
pub(super) struct Jwks {
    url: Url,
    http: reqwest::Client,
    keys: RwLock<Arc<JwkSet>>,
    last_fetch: Mutex<Option<Instant>>,
}

impl Jwks {
    pub(super) fn new(url: Url) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            .build()
            .map_err(|error| ClientError::Build(format!("the client for JWKS_URL: {error}")))?;
        let keys = RwLock::new(Arc::new(JwkSet { keys: Vec::new() }));
        Ok(Self { url, http, keys, last_fetch: Mutex::new(None) })
    }

    /// The key with this id; without an id, the only key there is. [`Error::Unavailable`] if the issuer has not answered
    /// yet: a token cannot be refused for keys that nobody has seen.
    pub(super) async fn find(&self, key_id: Option<&str>) -> Result<Option<Jwk>, Error> {
        if let Some(key) = choose(&self.held(), key_id) {
            return Ok(Some(key));
        }
        self.refresh().await;
        let held = self.held();
        if held.keys.is_empty() {
            return Err(Error::unavailable("the issuer's keys are not known"));
        }
        Ok(choose(&held, key_id))
    }

    /// Fetches the keys unless that was tried just now. One fetch at a time: who waits finds it done.
    pub(super) async fn refresh(&self) {
        let mut last_fetch = self.last_fetch.lock().await;
        let interval = if self.held().keys.is_empty() { RETRY_INTERVAL } else { REFRESH_INTERVAL };
        if last_fetch.is_some_and(|at| at.elapsed() < interval) {
            return;
        }
        match self.fetch().await {
            Ok(keys) => *self.keys.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(keys),
            Err(error) => tracing::error!(url = %self.url, %error, "the issuer's keys could not be fetched"),
        }
        *last_fetch = Some(Instant::now());
    }

    async fn fetch(&self) -> Result<JwkSet, reqwest::Error> {
        self.http.get(self.url.clone()).send().await?.error_for_status()?.json().await
    }

    fn held(&self) -> Arc<JwkSet> {
        Arc::clone(&self.keys.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

fn choose(keys: &JwkSet, key_id: Option<&str>) -> Option<Jwk> {
    match (key_id, keys.keys.as_slice()) {
        (Some(id), _) => keys.find(id).cloned(),
        (None, [only]) => Some(only.clone()),
        (None, _) => None,
    }
}
