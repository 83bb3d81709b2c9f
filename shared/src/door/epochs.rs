use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use ulid::Ulid;

use crate::acting;
use crate::clients::{CacheError, DynamoDb, Redis, Script};
use crate::config::DoorConfig;
use crate::error::Error;
use crate::metrics;
use crate::tables::Key;
use crate::tenancy::{DocumentId, TenantId};

/// How long epochs are kept without a change, in seconds. Losing one costs cached answers, nothing else.
const KEEP_SECONDS: u64 = 7 * 24 * 60 * 60;
/// The pause before a cache that stalls is told again.
const RETRY: Duration = Duration::from_millis(50);
/// The attribute of the mark's item.
const MARK: &str = "mark";
/// The mark of a tenant that never had one.
const UNMARKED: &str = "-";

/// What an answer is made of. A change names the scopes it touches; their cached answers are served no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One document and its passages.
    Document(DocumentId),
    /// Each document with its passages: who may read them.
    EachDocument,
    /// Which documents there are, and what lists show of them.
    Documents,
    /// Collections and how many documents they have.
    Collections,
    /// What a search finds.
    Search,
    /// Users and their tenant: profiles, permissions, plans.
    Users,
}

impl Scope {
    /// All that a change of a collection touches: who may read what.
    pub const OF_COLLECTION: &[Self] =
        &[Self::EachDocument, Self::Documents, Self::Collections, Self::Search, Self::Users];

    /// The name of its epoch.
    pub(super) fn name(self) -> String {
        match self {
            // The colon tells `epoch.lua` that it is one of many.
            Self::Document(id) => format!("document:{id}"),
            // Part of the epoch of each.
            Self::EachDocument => "base".to_owned(),
            Self::Documents => "documents".to_owned(),
            Self::Collections => "collections".to_owned(),
            Self::Search => "search".to_owned(),
            Self::Users => "users".to_owned(),
        }
    }
}

/// The key of a tenant's epochs.
pub(super) fn epochs_key(tenant: &TenantId) -> String {
    format!("{{{tenant}}}:epochs")
}

/// A value that was never used before. A counter would repeat itself after an eviction.
pub(super) fn fresh() -> String {
    Ulid::generate().to_string()
}

/// Tells the cache of changes.
///
/// Answers are cached under the epoch of their scope, which a reader takes before it reads the database. A writer changes
/// the database, then replaces the epoch, then answers: from then on nothing that was computed from the old state is
/// served.
///
/// If the cache cannot be told, it may hold answers that have become wrong, and may serve them when it is back. So the
/// epochs are *trusted* for a short time only; then a reader looks for a *mark* in the database, and a new mark makes all
/// epochs new. A writer that cannot tell the cache leaves a mark, and waits until nobody trusts the epochs from before any
/// more, or until the cache can be told after all. It does not wait if nobody listens where the cache should be, for then
/// its memory is gone.
#[derive(Clone)]
pub struct Epochs(Arc<Inner>);

struct Inner {
    redis: Redis,
    dynamodb: DynamoDb,
    trust: Duration,
    script: Script,
}

impl Epochs {
    /// The epochs in this cache, with marks in this database.
    pub fn new(redis: &Redis, dynamodb: &DynamoDb, config: &DoorConfig) -> Self {
        Self(Arc::new(Inner {
            redis: redis.clone(),
            dynamodb: dynamodb.clone(),
            trust: config.trust,
            script: Script::new(include_str!("renew.lua")),
        }))
    }

    /// Replaces the epochs of these scopes; an error if the cache cannot be told.
    pub async fn renew(&self, tenant: &TenantId, scopes: &[Scope]) -> Result<(), CacheError> {
        let mut call = self.0.script.call(&[epochs_key(tenant)]).arg(fresh()).arg(KEEP_SECONDS);
        for scope in scopes {
            call = call.arg(scope.name());
        }
        match call.insist::<i64>(&self.0.redis).await {
            Ok(_) => {
                metrics::EPOCHS_RENEWED.add(scopes.len() as u64);
                Ok(())
            }
            Err(CacheError::NotConfigured) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes sure that no answer from before a change is served once this returns. The change is in the database.
    pub async fn changed(&self, tenant: &TenantId, scopes: &[Scope]) -> Result<(), Error> {
        if scopes.is_empty() {
            return Ok(());
        }
        let Err(error) = self.renew(tenant, scopes).await else { return Ok(()) };
        metrics::CACHE_NOT_TOLD.add(1);
        tracing::debug!(%tenant, %error, "the cache could not be told of a change");
        self.leave_mark(tenant).await?;
        if error.is_refusal() {
            return Ok(());
        }
        // However long the cache has not answered here, it may have answered others until just now.
        let trusted_until = Instant::now() + self.0.trust;
        // It may have been a moment only.
        while self.renew(tenant, scopes).await.is_err() {
            let left = trusted_until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            tokio::time::sleep(left.min(RETRY)).await;
        }
        Ok(())
    }

    async fn leave_mark(&self, tenant: &TenantId) -> Result<(), Error> {
        let mut item = Key::mark(tenant).attributes();
        item.insert(MARK.to_owned(), AttributeValue::S(fresh()));
        let dynamodb = &self.0.dynamodb;
        let put = dynamodb.client.put_item().table_name(&dynamodb.table).set_item(Some(item)).send();
        acting::for_tenant(tenant, put).await?;
        Ok(())
    }
}

/// The mark in its item.
pub(super) fn mark(item: Option<&std::collections::HashMap<String, AttributeValue>>) -> String {
    item.and_then(|item| item.get(MARK)?.as_s().ok()).map_or_else(|| UNMARKED.to_owned(), Clone::clone)
}
