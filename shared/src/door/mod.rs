//! The door: what a request must pass before its handler sees it, and what is asked of the cache, in one round trip.
//!
//! A route declares what it is in its table, and its handler knows nothing of limits or caches:
//!
//! ```ignore
//! Router::new()
//!     .route("/documents", get(list).route_layer(door.reads(Scope::Documents).cached(Duration::from_mins(1))))
//!     .route("/documents/{id}", delete(remove).route_layer(door.writes(&[Scope::Documents, Scope::Search]).one()))
//! ```
//!
//! The door verifies the caller, counts the request against the buckets of its address, user and tenant (`bucket.lua`),
//! serves an answer that is cached and still holds (`door.lua`), lets one caller at a time compute one that is not, and
//! tells the cache of changes before they are acknowledged ([`Epochs`]). Without the cache it does what it can
//! (`memory`); nothing fails because the cache does.

mod answer;
mod bucket;
mod epochs;
mod flight;
mod gate;
mod guard;
mod idempotency;
mod limits;
mod memory;
mod quotas;
mod recall;
mod records;
mod script;
mod spending;

use std::sync::Arc;
use std::time::Duration;

use self::answer::Answer;
pub use self::epochs::{Epochs, Scope};
use self::flight::Flights;
use self::gate::{Gate, Wanted};
pub use self::guard::{Changed, Guard, Guarded};
pub use self::idempotency::Idempotency;
pub use self::limits::{LimitStatus, Limits, Overrides, Plans, Policy, Standings, Subject};
pub use self::quotas::Quotas;
pub use self::recall::{Recall, Worked};
pub use self::records::TenantRecord;
use self::script::FillScript;
pub use self::spending::Spending;
use crate::auth::Authenticator;
use crate::clients::{DynamoDb, Redis};
use crate::config::DoorConfig;
use crate::metrics;
use crate::tenancy::TenantId;
use crate::usage::Month;

/// The door of a process. Clones share it.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    authenticator: Authenticator,
    gate: Gate,
    epochs: Epochs,
    flights: Arc<Flights>,
    fill: FillScript,
    redis: Redis,
    config: DoorConfig,
}

impl Door {
    /// A door that lets in whom the authenticator knows.
    pub fn new(authenticator: Authenticator, redis: &Redis, dynamodb: &DynamoDb, config: DoorConfig) -> Self {
        Self(Arc::new(Inner {
            authenticator,
            gate: Gate::new(redis, dynamodb, config.clone()),
            epochs: Epochs::new(redis, dynamodb, &config),
            flights: Arc::default(),
            fill: FillScript::new(),
            redis: redis.clone(),
            config,
        }))
    }

    /// For a route that is only counted.
    pub fn counts(&self) -> Guard {
        Guard::new(self)
    }

    /// For a route whose answer is made of what this scope names.
    pub fn reads(&self, scope: Scope) -> Guard {
        Guard::new(self).reads(scope)
    }

    /// For a route that changes what these scopes name.
    pub fn writes(&self, scopes: &'static [Scope]) -> Guard {
        Guard::new(self).writes(scopes)
    }

    /// For a route that spends money: it takes `cost` tokens of the user and of the tenant, and less of it is let through
    /// while the cache is away.
    pub fn spends(&self, cost: u32) -> Guard {
        Guard::new(self).spends(cost)
    }

    /// Who verifies callers.
    pub fn authenticator(&self) -> &Authenticator {
        &self.0.authenticator
    }

    /// Requests of a tenant that are counted but not entered into its usage yet; 0 while the cache is away.
    pub async fn pending_requests(&self, tenant: &TenantId, month: &Month) -> u64 {
        self.0.gate.pending_requests(tenant, month).await
    }

    /// The plans of the deployment.
    pub fn plans(&self) -> &Plans {
        &self.0.config.plans
    }

    /// Stores an answer if it is not too large and its epoch still stands, or ends the lease to compute it. Whether it was stored.
    async fn store(
        &self,
        tenant: &TenantId,
        wanted: &Wanted,
        (epoch, set): (&str, &str),
        answer: Option<&Answer>,
        life: Duration,
        took: Duration,
    ) -> bool {
        let answer = answer.filter(|answer| answer.body.len() <= self.0.config.cache_max_bytes);
        match self.0.fill.fill(&self.0.redis, tenant, wanted, epoch, set, answer, life, took).await {
            Ok(stored) => {
                if stored {
                    metrics::CACHE_FILLS.add(1);
                }
                stored
            }
            Err(error) => {
                tracing::debug!(%error, "an answer could not be stored");
                false
            }
        }
    }

    /// For those who change what is cached without a request of their own.
    pub fn epochs(&self) -> &Epochs {
        &self.0.epochs
    }
}

/// What a route declares.
#[derive(Debug, Clone, Copy)]
struct Rule {
    /// Tokens that a request takes.
    cost: u32,
    /// Whether it spends money.
    spends: bool,
    /// What its answer is made of.
    reads: Option<Scope>,
    /// How long its answer may be served from the cache.
    cached: Option<Duration>,
    /// Whether its answer is for the caller alone.
    personal: bool,
    /// What it changes.
    writes: &'static [Scope],
    /// Whether it is about the one document that its path names.
    one: bool,
}
