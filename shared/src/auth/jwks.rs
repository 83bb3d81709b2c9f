use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{Jwk, JwkSet};
use tokio::sync::Mutex;
use url::Url;

use crate::clients::ClientError;

/// The shortest time between two fetches: a flood of tokens with made-up key ids must not become a flood of requests.
const REFRESH_INTERVAL: Duration = Duration::from_secs(30);
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

    /// The key with this id; without an id, the only key there is.
    pub(super) async fn find(&self, key_id: Option<&str>) -> Option<Jwk> {
        if let Some(key) = self.known(key_id) {
            return Some(key);
        }
        self.refresh().await;
        self.known(key_id)
    }

    /// Fetches the keys unless that was tried just now. One fetch at a time: who waits finds it done.
    pub(super) async fn refresh(&self) {
        let mut last_fetch = self.last_fetch.lock().await;
        if last_fetch.is_some_and(|at| at.elapsed() < REFRESH_INTERVAL) {
            return;
        }
        match self.fetch().await {
            Ok(keys) => {
                *last_fetch = Some(Instant::now());
                if let Ok(mut held) = self.keys.write() {
                    *held = Arc::new(keys);
                }
            }
            Err(error) => {
                // With no key at all nobody can sign in, so the next request may try again at once.
                if self.held().is_some_and(|held| !held.keys.is_empty()) {
                    *last_fetch = Some(Instant::now());
                }
                tracing::error!(url = %self.url, %error, "the issuer's keys could not be fetched");
            }
        }
    }

    async fn fetch(&self) -> Result<JwkSet, reqwest::Error> {
        self.http.get(self.url.clone()).send().await?.error_for_status()?.json().await
    }

    fn known(&self, key_id: Option<&str>) -> Option<Jwk> {
        let held = self.held()?;
        match (key_id, held.keys.as_slice()) {
            (Some(id), _) => held.find(id).cloned(),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        }
    }

    fn held(&self) -> Option<Arc<JwkSet>> {
        self.keys.read().ok().map(|keys| Arc::clone(&keys))
    }
}
