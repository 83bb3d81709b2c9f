//! The scripts of the door, with their arguments and replies as types. The scripts themselves say what each is.

use std::time::Duration;

use bytes::Bytes;
use redis::{FromRedisValue, Value};
use time::OffsetDateTime;
use ulid::Ulid;

use super::answer::Answer;
use super::epochs::{epochs_key, fresh};
use super::gate::{Cached, Wanted};
use super::limits::{Policy, Subject};
use super::memory::BucketKey;
use super::records::{CallerRecord, Loaded, Needed, TenantRecord};
use crate::auth::{Credential, Identity};
use crate::clients::{CacheError, Redis, Script};
use crate::config::DoorConfig;
use crate::tenancy::{Role, TenantId};
use crate::usage::Month;

/// How long requests wait in the cache until they are entered into the usage of their tenant, if it does not rest.
const ENTER_AFTER: Duration = Duration::from_mins(1);
/// The grants of a caller who may not come in.
const BARRED: &str = "!";
/// The argument that stands for the server's own clock.
const SERVER_CLOCK: u64 = 0;

/// `take.lua`: tokens from buckets of one slot.
pub(super) struct TakeScript(Script);

impl TakeScript {
    pub(super) fn new() -> Self {
        Self(Script::new(concat!(include_str!("bucket.lua"), include_str!("take.lua"))))
    }

    /// Takes tokens from all of the buckets or from none: for each the time to fill it in microseconds, and how long it
    /// lacks the tokens.
    pub(super) async fn take(
        &self,
        redis: &Redis,
        buckets: &[(BucketKey, Policy)],
        cost: u64,
    ) -> Result<Vec<(u64, Duration)>, CacheError> {
        self.run(redis, buckets, i64::try_from(cost).unwrap_or(i64::MAX), SERVER_CLOCK).await
    }

    /// Gives tokens back.
    pub(super) async fn give_back(
        &self,
        redis: &Redis,
        buckets: &[(BucketKey, Policy)],
        cost: u64,
    ) -> Result<(), CacheError> {
        self.run(redis, buckets, -i64::try_from(cost).unwrap_or(i64::MAX), SERVER_CLOCK).await.map(|_| ())
    }

    /// The same on a clock of the caller's, in microseconds.
    pub(super) async fn run(
        &self,
        redis: &Redis,
        buckets: &[(BucketKey, Policy)],
        cost: i64,
        clock: u64,
    ) -> Result<Vec<(u64, Duration)>, CacheError> {
        let keys: Vec<String> = buckets.iter().map(|(key, _)| key.key()).collect();
        let mut call = self.0.call(&keys).arg(clock).arg(cost);
        for (_, policy) in buckets {
            call = call.arg(policy.interval()).arg(policy.burst());
        }
        let reply: Vec<i64> = call.run(redis).await?;
        Ok(reply.as_chunks::<2>().0.iter().map(|[fill, over]| (positive(*fill), lacking(*over))).collect())
    }
}

/// What `door.lua` is asked.
pub(super) struct Question<'a> {
    pub(super) identity: &'a Identity,
    pub(super) cost: u64,
    pub(super) wanted: Option<&'a Wanted>,
    /// What it lacked when it was asked before.
    pub(super) loaded: &'a Loaded,
    /// The epoch of the records then.
    pub(super) loaded_under: &'a str,
    /// The server's time then.
    pub(super) asked_at: u64,
}

/// What it answers when it lacks nothing.
pub(super) struct Reply {
    pub(super) verdict: Verdict,
    /// The time until the tenant's bucket is full, in microseconds.
    pub(super) tenant_fill: u64,
    /// The same of the user's.
    pub(super) user_fill: u64,
    pub(super) tenant: TenantRecord,
    pub(super) caller: CallerRecord,
    pub(super) cached: Cached,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    Denied { tenant_lacking: Duration, user_lacking: Duration },
}

/// What it answers.
pub(super) enum Heard {
    /// All that was asked.
    Reply(Box<Reply>),
    /// It lacks something.
    Lack(Lack),
    /// The caller may not come in.
    Barred,
}

/// What it lacks.
pub(super) struct Lack {
    pub(super) needed: Needed,
    pub(super) epoch: String,
    pub(super) now: u64,
}

/// `door.lua`.
pub(super) struct DoorScript {
    script: Script,
    trust: Duration,
    lease: Duration,
    early_refresh: f32,
    record_seconds: u64,
}

impl DoorScript {
    pub(super) fn new(config: &DoorConfig) -> Self {
        Self {
            script: Script::new(concat!(
                include_str!("bucket.lua"),
                include_str!("epoch.lua"),
                include_str!("door.lua")
            )),
            trust: config.trust,
            lease: config.cache_lease,
            early_refresh: config.cache_early_refresh,
            record_seconds: config.record_seconds,
        }
    }

    pub(super) async fn ask(&self, redis: &Redis, question: &Question<'_>) -> Result<Heard, CacheError> {
        let Identity { tenant, user, credential, .. } = question.identity;
        let (caller, role) = match credential {
            Credential::Token(claims) => (format!("user:{user}"), claims.role.as_str()),
            Credential::Key(id) => (format!("key:{id}"), Role::Viewer.as_str()),
        };
        // A key is needed even where no answer is asked for; the epochs stand in for it.
        let epochs = epochs_key(tenant);
        let answers = question.wanted.map_or_else(|| epochs.clone(), |wanted| wanted.key.clone());
        let keys = [
            BucketKey::Tenant(tenant.clone()).key(),
            BucketKey::User(tenant.clone(), user.clone()).key(),
            format!("{{{tenant}}}:tenant"),
            format!("{{{tenant}}}:{caller}"),
            epochs,
            answers,
            requests_key(tenant),
        ];
        let call = self
            .script
            .call(&keys)
            .arg(SERVER_CLOCK)
            .arg(question.cost)
            .arg(micros(self.trust))
            .arg(fresh())
            .arg(question.wanted.map_or_else(String::new, |wanted| wanted.scope.name()))
            .arg(role)
            .arg(self.early_refresh * exponential())
            .arg(micros(self.lease))
            .arg(u8::from(question.wanted.is_some_and(|wanted| wanted.anew)))
            .arg(question.loaded.mark.as_deref().unwrap_or_default())
            .arg(question.asked_at)
            .arg(question.loaded_under);
        let call = match &question.loaded.tenant {
            None => call.arg("").arg(0).arg(0).arg(0).arg(0).arg(0),
            Some(record) => {
                let policies = [Subject::Tenant, Subject::User].map(|subject| record.limits.policy(subject));
                let call = call.arg(json(record)).arg(record.version);
                policies.iter().fold(call, |call, policy| call.arg(policy.interval()).arg(policy.burst()))
            }
        };
        let call = match &question.loaded.caller {
            None => call.arg("").arg(0).arg("").arg(""),
            Some(record) => {
                let grants = if record.barred { BARRED.to_owned() } else { record.grants() };
                call.arg(json(record)).arg(record.version).arg(record.role.map_or("", Role::as_str)).arg(grants)
            }
        };
        let month = Month::of(OffsetDateTime::now_utc());
        let call = call.arg(self.record_seconds).arg(month.as_str()).arg(micros(ENTER_AFTER));
        Fields(call.run::<Vec<Value>>(redis).await?.into_iter()).read(question)
    }
}

/// The key of the requests that a tenant made and that are not entered yet.
pub(super) fn requests_key(tenant: &TenantId) -> String {
    format!("{{{tenant}}}:requests")
}

/// `fill.lua`.
pub(super) struct FillScript(Script);

impl FillScript {
    pub(super) fn new() -> Self {
        Self(Script::new(concat!(include_str!("bucket.lua"), include_str!("epoch.lua"), include_str!("fill.lua"))))
    }

    /// Stores an answer for `life`, or ends the lease if there is none to store. Whether it was stored.
    #[expect(clippy::too_many_arguments, reason = "each is one of the script's")]
    pub(super) async fn fill(
        &self,
        redis: &Redis,
        tenant: &TenantId,
        wanted: &Wanted,
        epoch: &str,
        set: &str,
        answer: Option<&Answer>,
        life: Duration,
        took: Duration,
    ) -> Result<bool, CacheError> {
        let call = self
            .0
            .call(&[epochs_key(tenant), wanted.key.clone()])
            .arg(SERVER_CLOCK)
            .arg(wanted.scope.name())
            .arg(epoch)
            .arg(set);
        let call = match answer {
            None => call.arg(0).arg(0).arg("").arg("").arg(""),
            Some(answer) => {
                let call = call.arg(micros(life)).arg(micros(took));
                call.arg(&answer.etag).arg(&answer.content_type).arg(&answer.body[..])
            }
        };
        Ok(call.run::<i64>(redis).await? == 1)
    }
}

/// The fields of a reply in their order.
struct Fields(std::vec::IntoIter<Value>);

impl Fields {
    fn next<T: FromRedisValue>(&mut self) -> Result<T, CacheError> {
        let value = self.0.next().unwrap_or(Value::Nil);
        T::from_redis_value(value).map_err(|error| CacheError::Redis(error.into()))
    }

    fn read(mut self, question: &Question<'_>) -> Result<Heard, CacheError> {
        let kind: String = self.next()?;
        let now = positive(self.next()?);
        if kind == "barred" {
            return Ok(Heard::Barred);
        }
        if kind == "load" {
            let epoch = self.next()?;
            let (mark, tenant, caller) = (self.flag()?, self.flag()?, self.flag()?);
            let (month, requests): (String, i64) = (self.next()?, self.next()?);
            let requests = month.parse().ok().map(|month: Month| (month, positive(requests)));
            return Ok(Heard::Lack(Lack { needed: Needed { mark, tenant, caller, requests }, epoch, now }));
        }
        let (tenant_fill, tenant_over): (i64, i64) = (self.next()?, self.next()?);
        let (user_fill, user_over): (i64, i64) = (self.next()?, self.next()?);
        let (tenant, caller) = (record(&self.next::<Vec<u8>>()?)?, record(&self.next::<Vec<u8>>()?)?);
        let verdict = if kind == "allowed" {
            Verdict::Allowed
        } else {
            Verdict::Denied { tenant_lacking: lacking(tenant_over), user_lacking: lacking(user_over) }
        };
        let cached =
            if verdict == Verdict::Allowed && question.wanted.is_some() { self.cached(now)? } else { Cached::Unknown };
        let (tenant_fill, user_fill) = (positive(tenant_fill), positive(user_fill));
        Ok(Heard::Reply(Box::new(Reply { verdict, tenant_fill, user_fill, tenant, caller, cached })))
    }

    fn flag(&mut self) -> Result<bool, CacheError> {
        Ok(self.next::<i64>()? == 1)
    }

    fn cached(&mut self, now: u64) -> Result<Cached, CacheError> {
        let epoch: String = self.next()?;
        let state: String = self.next()?;
        let set: String = self.next()?;
        let (meta, body): (String, Vec<u8>) = (self.next()?, self.next()?);
        if state == "hit"
            && let Some((answer, expires)) = Answer::from_stored(&meta, Bytes::from(body))
        {
            return Ok(Cached::Hit(answer, Duration::from_micros(expires.saturating_sub(now))));
        }
        Ok(Cached::Compute { epoch, set, stale: state == "stale", held: state == "held" })
    }
}

fn record<T: serde::de::DeserializeOwned>(json: &[u8]) -> Result<T, CacheError> {
    serde_json::from_slice(json).map_err(|_| {
        CacheError::Redis((redis::ErrorKind::UnexpectedReturnType, "a record of the cache cannot be read").into())
    })
}

fn json(record: &impl serde::Serialize) -> String {
    serde_json::to_string(record).unwrap_or_default()
}

fn positive(number: i64) -> u64 {
    number.unsigned_abs()
}

fn lacking(over: i64) -> Duration {
    Duration::from_micros(u64::try_from(over).unwrap_or(0))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A number of the exponential distribution with the mean 1, for the early refresh.
fn exponential() -> f32 {
    // An identifier has 80 random bits.
    let bits = Ulid::generate().random() & u128::from(u32::MAX);
    let uniform = (bits as f64 + 1.0) / (f64::from(u32::MAX) + 1.0);
    #[expect(clippy::cast_possible_truncation, reason = "it need not be precise")]
    let number = -uniform.ln() as f32;
    number
}
