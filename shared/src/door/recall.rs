use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::{self, Answer};
use super::gate::{Cached, Request, Wanted};
use super::{Door, Scope};
use crate::auth::Identity;
use crate::error::Error;
use crate::metrics;

/// How what is kept is written.
const JSON: &str = "application/json";

/// Keeps what is worked out on the way to an answer that is not kept itself, under the same epochs as whole answers. Routes that
/// declare it ([`super::Guard::recalls`]) find it among the extensions of a request.
#[derive(Clone)]
pub struct Recall {
    door: Door,
    identity: Identity,
}

/// What was worked out.
#[derive(Debug)]
pub struct Worked<T> {
    /// It.
    pub value: T,
    /// Whether it may be recalled.
    pub lasts: bool,
}

impl Recall {
    pub(super) fn new(door: &Door, identity: &Identity) -> Self {
        Self { door: door.clone(), identity: identity.clone() }
    }

    /// What was worked out for `about` less than `life` ago, if nothing in the scope has changed since; else what `work` gives now.
    ///
    /// `about` names all that it depends on, what the caller may read included: whoever has the same role and grants and names the
    /// same gets the same. Nobody waits for another who works on it. A cache that is away costs time, nothing else.
    ///
    /// # Errors
    ///
    /// Those of `work`; that the caller was barred meanwhile; that the database does not answer.
    pub async fn or_work<T, F>(
        &self,
        scope: Scope,
        about: &str,
        life: Duration,
        work: impl FnOnce() -> F,
    ) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<Worked<T>, Error>>,
    {
        let wanted = Wanted { scope, key: answer::recalled(&self.identity.tenant, about), anew: false };
        let ip = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let asked = Request { identity: &self.identity, ip, cost: 0, spends: false, wanted: Some(wanted.clone()) };
        let place = match self.door.0.gate.look(&asked).await? {
            Some((_, _, Cached::Hit(answer, _))) => {
                // Another version of the code may have written it in another form.
                if let Ok(value) = serde_json::from_slice(&answer.body) {
                    metrics::RECALLS.add_of("hit", 1);
                    return Ok(value);
                }
                None
            }
            Some((_, _, Cached::Compute { epoch, set, .. })) => Some((epoch, set)),
            Some((_, _, Cached::Unknown)) | None => None,
        };
        metrics::RECALLS.add_of(if place.is_some() { "miss" } else { "bypass" }, 1);
        let started = Instant::now();
        let worked = work().await;
        if let Some((epoch, set)) = place {
            let lasting = worked.as_ref().ok().filter(|worked| worked.lasts);
            let answer = lasting.and_then(|worked| serde_json::to_vec(&worked.value).ok());
            let answer = answer.map(|body| Answer::new(JSON.to_owned(), body.into()));
            let tenant = &self.identity.tenant;
            self.door.store(tenant, &wanted, (&epoch, &set), answer.as_ref(), life, started.elapsed()).await;
        }
        worked.map(|worked| worked.value)
    }
}
