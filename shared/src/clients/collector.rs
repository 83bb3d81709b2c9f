use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use reqwest::redirect::Policy;
use url::Url;

use super::IDLE_LIMIT;

/// Takes what is told of requests: a collector of traces, or Sentry.
#[derive(Debug)]
pub(crate) struct Collector {
    /// Made when there is something to send, after an answer: it reads the system's certificates, and starts wait for nothing.
    http: OnceLock<reqwest::Client>,
    url: Url,
    headers: HeaderMap,
    limit: Duration,
}

/// A collector did not take what it was sent. Says nothing of its address, which may hold a key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Untaken {
    /// It answered something else.
    #[error("it answers {0}")]
    Refused(StatusCode),
    /// It did not answer.
    #[error("{}", if .0.is_timeout() { "no answer in time" } else if .0.is_connect() { "nobody listens" } else { "the connection broke" })]
    Silent(reqwest::Error),
}

impl Collector {
    /// The collector at this address, which is sent these headers and may take so long.
    pub(crate) fn new(url: Url, headers: HeaderMap, limit: Duration) -> Self {
        Self { http: OnceLock::new(), url, headers, limit }
    }

    /// Sends a body; an answer other than 2xx is a failure.
    pub(crate) async fn send(&self, body: Bytes) -> Result<(), Untaken> {
        let request =
            self.http().map_err(Untaken::Silent)?.post(self.url.clone()).headers(self.headers.clone()).body(body);
        let answer = request.send().await.map_err(|error| Untaken::Silent(error.without_url()))?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(Untaken::Refused(status)) }
    }

    fn http(&self) -> reqwest::Result<&reqwest::Client> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = reqwest::Client::builder()
            .timeout(self.limit)
            .pool_idle_timeout(IDLE_LIMIT)
            // The keys in the headers go nowhere else.
            .redirect(Policy::none())
            .user_agent(concat!("Ragline/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(self.http.get_or_init(|| http))
    }
}

impl Untaken {
    /// Whether nobody was there, or the connection broke: another may do. Not if it took too long.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, Self::Silent(error) if !error.is_timeout())
    }
}
