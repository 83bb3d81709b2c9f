use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use http::StatusCode;
use reqwest::redirect;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;
use url::Url;

use super::key::{Algorithm, Key, Keys};
use crate::error::Error;

/// The shortest time between two fetches while there are keys: a flood of tokens with made-up key ids must not become a
/// flood of requests.
const REFRESH_INTERVAL: Duration = Duration::from_secs(30);
/// The shortest time between two fetches while there are none and nobody can sign in.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How long keys are believed without asking again: a key that the issuer withdrew holds no longer.
const MAX_AGE: Duration = Duration::from_hours(1);
/// For the issuer to answer while somebody cannot go on without its keys.
const FETCH_LIMIT: Duration = Duration::from_secs(3);
/// For the issuer to answer while there are keys to go on with.
const RENEW_LIMIT: Duration = Duration::from_secs(1);
/// The largest set that is read, in bytes. Real ones are below 20 kB.
const MAX_BODY: usize = 256 * 1024;

/// The issuer's keys. Fetched at first use, again for an unknown key id, and when they are old; a set that was good once
/// is kept while the issuer is away or answers something else.
#[derive(Debug)]
pub(super) struct Jwks {
    url: Url,
    /// Made by the first fetch, since it reads the system's certificates: where an authorizer has verified the caller, there is
    /// none.
    http: OnceLock<reqwest::Client>,
    held: RwLock<Held>,
    /// When a fetch last began or ended. Whoever holds it is the one who fetches.
    tried: Mutex<Option<Instant>>,
}

#[derive(Debug, Clone, Default)]
struct Held {
    keys: Arc<Keys>,
    since: Option<Instant>,
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Request(#[from] reqwest::Error),
    #[error("the answer has the status {0}")]
    Status(StatusCode),
    #[error("the answer is larger than {MAX_BODY} bytes")]
    TooLarge,
    #[error("{0}")]
    NoKeys(&'static str),
}

impl Jwks {
    pub(super) fn new(url: Url) -> Self {
        Self { url, http: OnceLock::new(), held: RwLock::default(), tried: Mutex::default() }
    }

    /// The key with this id that fits the algorithm; without an id, the only key there is. [`Error::Unavailable`] if the
    /// issuer has not answered yet: a token cannot be refused for keys that nobody has seen.
    pub(super) async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Option<Arc<Key>>, Error> {
        self.renew().await;
        let mut keys = self.held().keys;
        if keys.is_empty() || id.is_some_and(|id| !keys.know(id)) {
            self.refresh().await;
            keys = self.held().keys;
        }
        if keys.is_empty() {
            return Err(Error::unavailable("the issuer's keys are not known"));
        }
        Ok(keys.choose(id, algorithm))
    }

    /// Fetches the keys unless that was tried just now. One fetch at a time: who waits finds it done.
    pub(super) async fn refresh(&self) {
        let tried = self.tried.lock().await;
        self.fetch_unless_tried(tried, FETCH_LIMIT).await;
    }

    /// Fetches old keys again. One caller waits for it, as nothing may run on after the answer; the others go on with what
    /// is there.
    async fn renew(&self) {
        if self.held().since.is_some_and(|since| since.elapsed() >= MAX_AGE)
            && let Ok(tried) = self.tried.try_lock()
        {
            self.fetch_unless_tried(tried, RENEW_LIMIT).await;
        }
    }

    async fn fetch_unless_tried(&self, mut tried: MutexGuard<'_, Option<Instant>>, limit: Duration) {
        let interval = if self.held().keys.is_empty() { RETRY_INTERVAL } else { REFRESH_INTERVAL };
        if tried.is_some_and(|at| at.elapsed() < interval) {
            return;
        }
        // Noted before, too: a caller who hangs up takes this with them, and must not make the next one fetch.
        *tried = Some(Instant::now());
        match self.fetch(limit).await {
            Ok(keys) => {
                let held = Held { keys: Arc::new(keys), since: Some(Instant::now()) };
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
            }
            Err(error) => tracing::error!(url = %self.url, %error, "the issuer's keys could not be fetched"),
        }
        *tried = Some(Instant::now());
    }

    async fn fetch(&self, limit: Duration) -> Result<Keys, FetchError> {
        let mut response = self.http()?.get(self.url.clone()).timeout(limit).send().await?;
        if !response.status().is_success() {
            return Err(FetchError::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Keys::parse(&body).map_err(FetchError::NoKeys)
    }

    fn http(&self) -> reqwest::Result<&reqwest::Client> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = reqwest::Client::builder()
            // What is asked for keys is what the configuration says, and nobody else.
            .redirect(redirect::Policy::none())
            // Between two fetches a Lambda environment may be frozen; a kept connection would be dead.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(self.http.get_or_init(|| http))
    }

    fn held(&self) -> Held {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Mutex as StdMutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use axum::Router;
    use axum::response::{IntoResponse, Response};
    use axum::routing::get;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};
    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;

    use super::*;

    /// An issuer that publishes keys and counts who asks for them.
    struct Issuer {
        answer: StdMutex<(StatusCode, String)>,
        requests: AtomicUsize,
        /// Each answer takes a permit.
        answers: Semaphore,
    }

    impl Issuer {
        async fn start() -> (Arc<Self>, Arc<Jwks>) {
            let issuer = Arc::new(Self {
                answer: StdMutex::new((StatusCode::OK, String::new())),
                requests: AtomicUsize::new(0),
                answers: Semaphore::new(Semaphore::MAX_PERMITS),
            });
            let shared = Arc::clone(&issuer);
            let elsewhere = || async { json!({ "keys": [key("evil")] }).to_string() };
            let router = Router::new()
                .route("/keys", get(move || Arc::clone(&shared).keys()))
                .route("/elsewhere", get(elsewhere));
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let url = format!("http://{}/keys", listener.local_addr().unwrap());
            tokio::spawn(async { axum::serve(listener, router).await });
            (issuer, Arc::new(Jwks::new(url.parse().unwrap())))
        }

        async fn keys(self: Arc<Self>) -> Response {
            self.requests.fetch_add(1, Ordering::SeqCst);
            self.answers.acquire().await.unwrap().forget();
            let (status, body) = self.answer.lock().unwrap().clone();
            (status, [("location", "/elsewhere")], body).into_response()
        }

        fn answers(&self, status: u16, body: impl Into<String>) {
            *self.answer.lock().unwrap() = (StatusCode::from_u16(status).unwrap(), body.into());
        }

        fn publishes(&self, ids: &[&str]) {
            let keys: Vec<_> = ids.iter().map(|id| key(id)).collect();
            self.answers(200, json!({ "keys": keys }).to_string());
        }

        fn requests(&self) -> usize {
            self.requests.load(Ordering::SeqCst)
        }
    }

    fn key(id: &str) -> Value {
        let pair = Ed25519KeyPair::generate().unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": x })
    }

    async fn knows(jwks: &Jwks, id: &str) -> bool {
        jwks.find(Some(id), Algorithm::EdDsa).await.unwrap().is_some()
    }

    /// Lets time pass at once. It flows on afterwards, since a clock that stands would jump over the network's time.
    async fn pass(time: Duration) {
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
    }

    #[tokio::test]
    async fn keys_are_fetched_once_and_again_for_an_unknown_one_but_not_for_each() {
        let (issuer, jwks) = Issuer::start().await;
        issuer.publishes(&["a"]);
        for _ in 0..10 {
            assert!(knows(&jwks, "a").await);
            assert!(!knows(&jwks, "made-up").await);
            assert!(jwks.find(None, Algorithm::Rs256).await.unwrap().is_none());
            assert!(jwks.find(Some("a"), Algorithm::Rs256).await.unwrap().is_none());
        }
        assert_eq!(issuer.requests(), 1, "the fetch was just now");

        issuer.publishes(&["a", "b"]);
        assert!(!knows(&jwks, "b").await);
        pass(REFRESH_INTERVAL).await;
        for _ in 0..10 {
            assert!(jwks.find(Some("a"), Algorithm::Rs256).await.unwrap().is_none(), "known, and of another kind");
            assert!(jwks.find(None, Algorithm::EdDsa).await.unwrap().is_some());
        }
        assert_eq!(issuer.requests(), 1, "nothing unknown was asked for");
        assert!(knows(&jwks, "b").await);
        for number in 0..100 {
            assert!(!knows(&jwks, &format!("made-up-{number}")).await);
        }
        assert_eq!(issuer.requests(), 2);
    }

    #[tokio::test]
    async fn many_at_once_make_one_request() {
        let (issuer, jwks) = Issuer::start().await;
        issuer.publishes(&["a"]);
        let all = (0..50).map(|number| {
            let jwks = Arc::clone(&jwks);
            async move { knows(&jwks, if number % 2 == 0 { "a" } else { "made-up" }).await }
        });
        let known = futures::future::join_all(all).await;
        assert_eq!(known.iter().filter(|&&known| known).count(), 25);
        assert_eq!(issuer.requests(), 1);
    }

    #[tokio::test]
    async fn a_key_that_the_issuer_withdrew_is_dropped_within_the_hour() {
        let (issuer, jwks) = Issuer::start().await;
        issuer.publishes(&["a", "b"]);
        assert!(knows(&jwks, "b").await);
        issuer.publishes(&["a"]);
        pass(Duration::from_mins(59)).await;
        assert!(knows(&jwks, "b").await);
        assert_eq!(issuer.requests(), 1);
        pass(Duration::from_mins(1)).await;
        assert!(!knows(&jwks, "b").await);
        assert!(knows(&jwks, "a").await);
        assert_eq!(issuer.requests(), 2);
    }

    #[tokio::test]
    async fn old_keys_are_renewed_by_one_caller_while_the_others_go_on() {
        let (issuer, jwks) = Issuer::start().await;
        issuer.publishes(&["a"]);
        assert!(knows(&jwks, "a").await);
        pass(MAX_AGE).await;
        issuer.answers.forget_permits(Semaphore::MAX_PERMITS);
        let renewing = tokio::spawn({
            let jwks = Arc::clone(&jwks);
            async move { knows(&jwks, "a").await }
        });
        while issuer.requests() < 2 {
            tokio::task::yield_now().await;
        }
        for _ in 0..10 {
            assert!(knows(&jwks, "a").await);
        }
        assert!(!renewing.is_finished(), "the others did not wait for it");
        issuer.answers.add_permits(1);
        assert!(renewing.await.unwrap());
        assert_eq!(issuer.requests(), 2);
    }

    #[tokio::test]
    async fn good_keys_outlive_an_outage_and_whatever_is_no_set_of_keys() {
        let (issuer, jwks) = Issuer::start().await;
        issuer.publishes(&["a"]);
        assert!(knows(&jwks, "a").await);
        let large = json!({ "keys": [key("a")], "padding": "x".repeat(MAX_BODY) }).to_string();
        let bad = [
            (500, String::new()),
            (404, json!({ "keys": [key("evil")] }).to_string()),
            (302, json!({ "keys": [key("evil")] }).to_string()),
            (200, String::new()),
            (200, "<html>Back soon</html>".to_owned()),
            (200, json!({ "keys": [] }).to_string()),
            (200, json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] }).to_string()),
            (200, large),
        ];
        for (number, (status, body)) in bad.into_iter().enumerate() {
            issuer.answers(status, body.clone());
            pass(MAX_AGE).await;
            assert!(knows(&jwks, "a").await, "{status} {body:.40}");
            assert!(!knows(&jwks, "evil").await, "{status} {body:.40}");
            assert_eq!(issuer.requests(), number + 2, "an outage is not asked about by each caller");
        }
        let unknown = json!({ "kty": "AKP", "kid": "new", "alg": "ML-DSA-44" });
        issuer.answers(200, json!({ "keys": [unknown, key("b")] }).to_string());
        pass(REFRESH_INTERVAL).await;
        assert!(knows(&jwks, "b").await, "it is back");
        assert!(!knows(&jwks, "a").await);
    }

    #[tokio::test]
    async fn while_there_are_none_the_issuer_is_asked_once_a_second_even_if_callers_hang_up() {
        let (issuer, jwks) = Issuer::start().await;
        issuer.answers.forget_permits(Semaphore::MAX_PERMITS);
        let mut find = Box::pin(jwks.find(Some("a"), Algorithm::EdDsa));
        while issuer.requests() < 1 {
            assert!(futures::poll!(&mut find).is_pending());
            tokio::task::yield_now().await;
        }
        drop(find);
        for _ in 0..10 {
            assert!(matches!(jwks.find(Some("a"), Algorithm::EdDsa).await, Err(Error::Unavailable { .. })));
        }
        assert_eq!(issuer.requests(), 1);
        issuer.publishes(&["a"]);
        issuer.answers.add_permits(2);
        pass(RETRY_INTERVAL).await;
        assert!(knows(&jwks, "a").await);
        assert_eq!(issuer.requests(), 2);
    }
}
