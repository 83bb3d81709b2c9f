//! The decision on a request, by the cache in one round trip, or by this process alone while the cache is away.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::epochs::Scope;
use super::limits::{Limits, Policy, Standing, Subject};
use super::memory::{BucketKey, Memory, Refusal};
use super::records::{self, Loaded, Needed, TenantRecord};
use super::script::{DoorScript, Heard, Question, Reply, TakeScript, Verdict, requests_key};
use crate::auth::Identity;
use crate::clients::{CacheError, DynamoDb, Redis};
use crate::config::DoorConfig;
use crate::error::Error;
use crate::metrics;
use crate::tenancy::{Principal, TenantId};
use crate::usage::Month;

/// Rounds of asking the cache and loading what it lacks. Records change rarely, so more than two are an accident.
const ROUNDS: usize = 5;

/// What somebody is told whose user was removed or whose key was revoked.
pub(super) const BARRED: Error = Error::Unauthenticated("the user was removed, or the API key revoked");

/// What a request asks for at the door.
pub(super) struct Request<'a> {
    pub(super) identity: &'a Identity,
    pub(super) ip: IpAddr,
    /// Tokens of the tenant and of the user.
    pub(super) cost: u64,
    /// Whether the route spends money.
    pub(super) spends: bool,
    pub(super) wanted: Option<Wanted>,
}

/// The answer that a request hopes to find.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) scope: Scope,
    pub(super) key: String,
    /// Whether the caller wants a new one.
    pub(super) anew: bool,
}

/// What the door says.
pub(super) enum Decision {
    Allowed(Box<Allowed>),
    Denied(Denied),
    /// The credential is good, but its user was removed or the key revoked. How the bucket of the address stands.
    Barred(Vec<Standing>),
}

impl Decision {
    /// The word for it in traces.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Allowed(_) => "allowed",
            Self::Denied(_) => "denied",
            Self::Barred(_) => "barred",
        }
    }
}

/// A request that may go on.
pub(super) struct Allowed {
    pub(super) standings: Vec<Standing>,
    pub(super) tenant: TenantRecord,
    pub(super) principal: Principal,
    pub(super) cached: Cached,
}

/// A request that must wait.
#[derive(Debug, Clone)]
pub(super) struct Denied {
    pub(super) standings: Vec<Standing>,
    pub(super) violated: Vec<Subject>,
    pub(super) retry_after: Duration,
}

/// What became of the wish for an answer.
pub(super) enum Cached {
    /// There was none, or the cache is away.
    Unknown,
    /// Here it is, good for so much longer.
    Hit(Answer, Duration),
    /// It is to be computed under this epoch, and is stored for this permission set; `held` if somebody does already.
    Compute { epoch: String, set: String, stale: bool, held: bool },
}

/// Decides on requests.
pub(super) struct Gate {
    redis: Redis,
    dynamodb: DynamoDb,
    config: DoorConfig,
    memory: Memory,
    door: DoorScript,
    take: TakeScript,
}

impl Gate {
    pub(super) fn new(redis: &Redis, dynamodb: &DynamoDb, config: DoorConfig) -> Self {
        Self {
            redis: redis.clone(),
            dynamodb: dynamodb.clone(),
            door: DoorScript::new(&config),
            take: TakeScript::new(),
            config,
            memory: Memory::default(),
        }
    }

    /// Counts a request of somebody unknown against its address.
    pub(super) async fn admit_stranger(&self, ip: IpAddr) -> Result<Vec<Standing>, Denied> {
        let bucket = (BucketKey::Ip(ip), self.default_limits().policy(Subject::Ip));
        if let Some(denied) = self.known_refusal(std::slice::from_ref(&bucket.0), 1) {
            return Err(denied);
        }
        let asked = Instant::now();
        let (standing, lacking) = self.take_ip(&bucket, false).await;
        let lacking = [(bucket.0, lacking)];
        self.remember(&[standing], &lacking, 1, asked);
        verdict(vec![standing], &lacking)
    }

    /// Decides on a request of a known caller.
    pub(super) async fn admit(&self, request: &Request<'_>) -> Result<Decision, Error> {
        let Identity { tenant, user, .. } = request.identity;
        let buckets = [
            BucketKey::Ip(request.ip),
            // A key counts as the user who made it, or who makes keys had more than others.
            BucketKey::User(tenant.clone(), user.clone()),
            BucketKey::Tenant(tenant.clone()),
        ];
        if let Some(denied) = self.known_refusal(&buckets, request.cost) {
            metrics::DOOR_DENIED_FROM_MEMORY.add(1);
            return Ok(Decision::Denied(denied));
        }
        let [ip_key, user_key, tenant_key] = buckets;
        let assumed = self.memory.ip_policy(tenant);
        let assumed = assumed.unwrap_or_else(|| self.default_limits().policy(Subject::Ip));
        let ip_bucket = (ip_key.clone(), assumed);
        let asked = Instant::now();
        let ((mut ip, mut ip_lacking), reply) =
            futures::join!(self.take_ip(&ip_bucket, request.spends), self.ask(request, request.cost));
        let reply = match reply {
            Ok(Some(reply)) => reply,
            Ok(None) => {
                let lacking = [(ip_key, ip_lacking)];
                self.remember(&[ip], &lacking, 1, asked);
                return Ok(verdict(vec![ip], &lacking).map_or_else(Decision::Denied, Decision::Barred));
            }
            Err(AskError::Database(error)) => return Err(error),
            Err(AskError::Cache) => return self.decide_alone(request, (ip, ip_lacking)).await,
        };

        let limits = reply.tenant.limits;
        if limits.policy(Subject::Ip) != assumed {
            // The tenant's limits changed, or were not known here yet: the address is counted as they say.
            self.memory.set_ip_policy(tenant, limits.policy(Subject::Ip));
            if ip_lacking.is_zero() {
                self.give_back(&[ip_bucket], 1).await;
            }
            (ip, ip_lacking) = self.take_ip(&(ip_key.clone(), limits.policy(Subject::Ip)), request.spends).await;
        }
        let own = [(tenant_key, limits.policy(Subject::Tenant)), (user_key, limits.policy(Subject::User))];
        if reply.verdict == Verdict::Allowed && !ip_lacking.is_zero() {
            self.give_back(&own, request.cost).await;
        }
        let standings = vec![
            ip,
            Standing { subject: Subject::User, policy: own[1].1, fill: reply.user_fill },
            Standing { subject: Subject::Tenant, policy: own[0].1, fill: reply.tenant_fill },
        ];
        let [(tenant_key, _), (user_key, _)] = own;
        let (tenant_lacking, user_lacking) = match reply.verdict {
            Verdict::Allowed => (Duration::ZERO, Duration::ZERO),
            Verdict::Denied { tenant_lacking, user_lacking } => (tenant_lacking, user_lacking),
        };
        let lacking = [(ip_key, ip_lacking), (user_key, user_lacking), (tenant_key, tenant_lacking)];
        self.remember(&standings, &lacking, request.cost, asked);
        Ok(match verdict(standings, &lacking) {
            Err(denied) => Decision::Denied(denied),
            Ok(standings) => {
                metrics::DOOR_ALLOWED.add(1);
                let Reply { tenant, caller, cached, .. } = *reply;
                let principal = caller.principal(request.identity, &tenant);
                Decision::Allowed(Box::new(Allowed { standings, tenant, principal, cached }))
            }
        })
    }

    /// Asks again for an answer that somebody else was computing, at no cost. `None` if the cache is away.
    pub(super) async fn look(&self, request: &Request<'_>) -> Result<Option<(TenantRecord, Principal, Cached)>, Error> {
        match self.ask(request, 0).await {
            Ok(Some(reply)) => {
                let Reply { tenant, caller, cached, .. } = *reply;
                let principal = caller.principal(request.identity, &tenant);
                Ok(Some((tenant, principal, cached)))
            }
            Ok(None) => Err(BARRED),
            Err(AskError::Cache) => Ok(None),
            Err(AskError::Database(error)) => Err(error),
        }
    }

    /// Asks the cache, and loads what it lacks until it has all it needs. `None` if the caller may not come in.
    async fn ask(&self, request: &Request<'_>, cost: u64) -> Result<Option<Box<Reply>>, AskError> {
        let identity = request.identity;
        let (mut loaded, mut loaded_under, mut asked_at) = (Loaded::default(), String::new(), 0);
        for _ in 0..ROUNDS {
            let question = Question {
                identity,
                cost,
                wanted: request.wanted.as_ref(),
                loaded: &loaded,
                loaded_under: &loaded_under,
                asked_at,
            };
            match self.door.ask(&self.redis, &question).await? {
                Heard::Reply(reply) => return Ok(Some(reply)),
                Heard::Barred => return Ok(None),
                Heard::Lack(lack) => {
                    (loaded_under, asked_at) = (lack.epoch, lack.now);
                    loaded = self.load(identity, &lack.needed).await.map_err(AskError::Database)?;
                }
            }
        }
        tracing::warn!(tenant = %identity.tenant, "records changed faster than they could be cached");
        Err(AskError::Cache)
    }

    async fn load(&self, identity: &Identity, needed: &Needed) -> Result<Loaded, Error> {
        // In a place of its own: it is large, and most requests need none of it.
        Box::pin(records::load(&self.dynamodb, &self.config.plans, identity, needed)).await
    }

    /// Requests of a month that are counted but not entered into the usage yet; 0 while the cache is away.
    pub(super) async fn pending_requests(&self, tenant: &TenantId, month: &Month) -> u64 {
        let mut command = redis::cmd("HGET");
        command.arg(requests_key(tenant)).arg(month.as_str());
        self.redis.query::<Option<u64>>(&command).await.unwrap_or_default().unwrap_or(0)
    }

    /// The refusal of an address that is known to hold, before anything is done for it.
    pub(super) fn known_refusal_of(&self, ip: IpAddr) -> Option<Denied> {
        self.known_refusal(&[BucketKey::Ip(ip)], 1)
    }

    /// Takes a token from the bucket of an address: how it stands, and how long it lacks one.
    async fn take_ip(&self, bucket: &(BucketKey, Policy), spends: bool) -> (Standing, Duration) {
        let buckets = std::slice::from_ref(bucket);
        match self.take.take(&self.redis, buckets, 1).await {
            Ok(taken) => {
                let (fill, lacking) = taken.first().copied().unwrap_or_default();
                (Standing { subject: Subject::Ip, policy: bucket.1, fill }, lacking)
            }
            Err(error) => {
                tracing::debug!(%error, "an address is counted without the cache");
                let bucket = (bucket.0.clone(), bucket.1.share(self.share(spends)));
                let (standings, lacking) = self.memory.take(std::slice::from_ref(&bucket), 1, Instant::now());
                let fill = standings.first().map_or(0, |standing| standing.fill);
                let lacking = lacking.first().map_or(Duration::ZERO, |(_, lacking)| *lacking);
                (Standing { subject: Subject::Ip, policy: bucket.1, fill }, lacking)
            }
        }
    }

    /// Gives back what a request took that is refused for another reason.
    async fn give_back(&self, buckets: &[(BucketKey, Policy)], cost: u64) {
        if let Err(error) = self.take.give_back(&self.redis, buckets, cost).await {
            tracing::debug!(%error, "tokens could not be given back");
        }
    }

    /// Without the cache: a share of the limits, and records from the database.
    async fn decide_alone(&self, request: &Request<'_>, ip: (Standing, Duration)) -> Result<Decision, Error> {
        let Identity { tenant, user, .. } = request.identity;
        let needed = Needed { mark: false, tenant: true, caller: true, requests: None };
        let loaded = self.load(request.identity, &needed).await?;
        let (Some(record), Some(caller)) = (loaded.tenant, loaded.caller) else {
            return Err(Error::internal("records that were asked for were not loaded"));
        };
        if caller.barred {
            let lacking = [(BucketKey::Ip(request.ip), ip.1)];
            return Ok(verdict(vec![ip.0], &lacking).map_or_else(Decision::Denied, Decision::Barred));
        }
        let (share, asked) = (self.share(request.spends), Instant::now());
        let keys = [BucketKey::User(tenant.clone(), user.clone()), BucketKey::Tenant(tenant.clone())];
        let buckets = keys.map(|key| {
            let policy = record.limits.policy(key.subject()).share(share);
            (key, policy)
        });
        let (own, lacking) =
            if ip.1.is_zero() { self.memory.take(&buckets, request.cost, asked) } else { (Vec::new(), Vec::new()) };
        let mut standings = vec![ip.0];
        standings.extend(own);
        let of =
            |subject| lacking.iter().find(|(of, _)| *of == subject).map_or(Duration::ZERO, |(_, lacking)| *lacking);
        let [(user_key, _), (tenant_key, _)] = buckets;
        let (user_lacking, tenant_lacking) = (of(Subject::User), of(Subject::Tenant));
        let lacking = [(BucketKey::Ip(request.ip), ip.1), (user_key, user_lacking), (tenant_key, tenant_lacking)];
        // The share of a route that spends says nothing of the other routes.
        if !request.spends {
            self.remember(&standings, &lacking, request.cost, asked);
        }
        Ok(match verdict(standings, &lacking) {
            Ok(standings) => {
                metrics::DOOR_FALLBACK.add_of("allowed", 1);
                let principal = caller.principal(request.identity, &record);
                Decision::Allowed(Box::new(Allowed { standings, tenant: record, principal, cached: Cached::Unknown }))
            }
            Err(denied) => {
                metrics::DOOR_FALLBACK.add_of("denied", 1);
                Decision::Denied(denied)
            }
        })
    }

    fn share(&self, spends: bool) -> f32 {
        match (self.redis.is_configured(), spends) {
            // Nobody else counts, so this process counts it all.
            (false, _) => 1.0,
            (true, false) => self.config.fallback_share,
            (true, true) => self.config.fallback_share_spending,
        }
    }

    fn default_limits(&self) -> Limits {
        self.config.plans.limits(self.config.plans.standard())
    }

    /// The refusal of any of the buckets that is known to hold.
    fn known_refusal(&self, buckets: &[BucketKey], cost: u64) -> Option<Denied> {
        let now = Instant::now();
        buckets.iter().find_map(|key| {
            let cost = if key.subject() == Subject::Ip { 1 } else { cost };
            let (standing, lacking) = self.memory.refusal(key, cost, now)?;
            Some(denied(vec![standing], &[(key.subject(), lacking)]))
        })
    }

    /// Remembers for a moment which buckets lack tokens, counted from when it was asked for: later would be too long.
    fn remember(&self, standings: &[Standing], lacking: &[(BucketKey, Duration)], cost: u64, asked: Instant) {
        let now = Instant::now();
        for (key, lacking) in lacking.iter().filter(|(_, lacking)| !lacking.is_zero()) {
            let Some(standing) = standings.iter().find(|standing| standing.subject == key.subject()) else { continue };
            let refusal = Refusal {
                // For a moment only, so that a raised limit applies at once.
                until: asked + (*lacking).min(self.config.deny),
                lacks_until: now + *lacking,
                cost: if key.subject() == Subject::Ip { 1 } else { cost },
                policy: standing.policy,
            };
            self.memory.refuse(key.clone(), refusal, asked);
        }
    }
}

/// Refuses if any bucket lacks tokens.
fn verdict(standings: Vec<Standing>, lacking: &[(BucketKey, Duration)]) -> Result<Vec<Standing>, Denied> {
    let refused: Vec<_> = lacking.iter().filter(|(_, lacking)| !lacking.is_zero()).collect();
    if refused.is_empty() {
        return Ok(standings);
    }
    for (key, _) in &refused {
        metrics::DOOR_DENIED.add_of(key.subject().name(), 1);
    }
    let refused: Vec<_> = refused.into_iter().map(|(key, lacking)| (key.subject(), *lacking)).collect();
    Err(denied(standings, &refused))
}

/// A denial tells how the buckets stand that lack tokens. When others have more is no concern of the caller now, and may
/// be later than when to retry.
fn denied(mut standings: Vec<Standing>, lacking: &[(Subject, Duration)]) -> Denied {
    standings.retain(|standing| lacking.iter().any(|(subject, _)| *subject == standing.subject));
    let retry_after = lacking.iter().map(|(_, lacking)| *lacking).max().unwrap_or_default();
    Denied { standings, violated: lacking.iter().map(|(subject, _)| *subject).collect(), retry_after }
}

/// Why the cache gave no decision.
enum AskError {
    /// It is away.
    Cache,
    /// The database is, and the cache lacks something.
    Database(Error),
}

impl From<CacheError> for AskError {
    fn from(error: CacheError) -> Self {
        tracing::debug!(%error, "the door decides without the cache");
        Self::Cache
    }
}
