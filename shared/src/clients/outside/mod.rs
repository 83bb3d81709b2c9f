//! The way out to addresses that tenants gave, which may be hostile: only those that the whole Internet reaches are spoken
//! to, whatever a name is said to stand for at the moment, and no answer leads anywhere else.

mod addresses;
mod resolver;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use reqwest::dns::Resolve;
use reqwest::redirect::Policy;
use url::Url;

use self::resolver::{Guarded, System, Unresolved};
use super::ClientError;
use crate::config::Reach;

/// The longest that a request may take, with its answer.
const LIMIT: Duration = Duration::from_secs(15);
/// The longest that a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// As much of an answer is read, so that its sender is done with it, and thrown away.
const MAX_ANSWER: usize = 4 * 1024;

/// Sends to addresses that tenants gave. Clones share one client.
#[derive(Debug, Clone)]
pub struct Outside {
    http: reqwest::Client,
    reach: Reach,
}

/// Why an address did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The address, or all that its host name stands for, is none that is spoken to.
    #[error("the address is not allowed")]
    NotAllowed,
    /// There is no host by this name.
    #[error("the host is not known")]
    HostNotFound,
    /// It took too long.
    #[error("there was no answer in time")]
    TimedOut,
    /// The connection, or its encryption, came to nothing.
    #[error("the connection failed")]
    Failed,
}

impl Outside {
    pub(super) fn new(reach: Reach) -> Result<Self, ClientError> {
        Self::with_resolver(reach, Arc::new(System))
    }

    /// One that asks this resolver what names stand for.
    pub fn with_resolver(reach: Reach, resolver: Arc<dyn Resolve>) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .dns_resolver(Guarded::new(resolver, reach))
            // A proxy would resolve names itself.
            .no_proxy()
            .redirect(Policy::none())
            .https_only(reach == Reach::Public)
            .timeout(LIMIT)
            .connect_timeout(CONNECT_LIMIT)
            // Names are resolved anew each time, and a frozen environment keeps no dead connections.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("Ragline/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { http: http.map_err(|error| ClientError::Build(error.to_string()))?, reach })
    }

    /// Posts to an address and returns the status of the answer, of which nothing else is looked at.
    pub async fn post(&self, url: &Url, headers: HeaderMap, body: Vec<u8>) -> Result<StatusCode, Unanswered> {
        // A literal address is asked of no resolver.
        if self.reach.fault(url).is_some() {
            return Err(Unanswered::NotAllowed);
        }
        let request = self.http.post(url.clone()).headers(headers).body(body);
        let mut answer = request.send().await.map_err(|error| unanswered(&error))?;
        let mut read = 0;
        while let Ok(Some(chunk)) = answer.chunk().await {
            read += chunk.len();
            if read >= MAX_ANSWER {
                break;
            }
        }
        Ok(answer.status())
    }
}

fn unanswered(error: &reqwest::Error) -> Unanswered {
    let mut source = error.source();
    while let Some(cause) = source {
        match cause.downcast_ref() {
            Some(Unresolved::NotAllowed) => return Unanswered::NotAllowed,
            Some(Unresolved::Unknown) => return Unanswered::HostNotFound,
            None => source = cause.source(),
        }
    }
    if error.is_timeout() { Unanswered::TimedOut } else { Unanswered::Failed }
}
