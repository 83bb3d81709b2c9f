use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

use super::epochs;
use super::limits::{Limits, Plans};
use crate::auth::{Claims, Credential, Identity};
use crate::clients::DynamoDb;
use crate::collections::{Collections, Overview};
use crate::editions::Edition;
use crate::error::Error;
use crate::keys::{self, ApiKey, Keys};
use crate::tables::Key;
use crate::tenancy::{self, Access, CollectionId, KeyLimits, Memberships, Principal, Role, TenantId};
use crate::tenants::{self, ChatSettings};
use crate::usage;
use crate::users::{self, User, Users};

/// How precisely it is known when a key was last used.
const LAST_USED: Duration = Duration::minutes(5);

/// The tenant of a request as its door knows it: handlers find it among the extensions of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRecord {
    /// For people, if it was given one.
    pub name: Option<String>,
    /// The name of its plan.
    pub plan: String,
    /// The limits that hold.
    pub limits: Limits,
    /// How its questions are answered, where that differs from the deployment.
    #[serde(default)]
    pub chat: ChatSettings,
    /// Its collections, and who may read each.
    pub collections: BTreeMap<CollectionId, Access>,
    /// Those whose documents all have vectors of an edition after the first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub editions: BTreeMap<CollectionId, Edition>,
    /// Whether there were others, of which documents may be left that are nobody's to see.
    pub had_others: bool,
    /// Grows with each change; 0 if nothing is stored.
    pub version: u64,
}

/// The caller of a request, as far as the tenant keeps anything: a user, or an API key with the user who made it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CallerRecord {
    /// Whether the caller may not come in: the user was removed, or the key revoked.
    pub(super) barred: bool,
    /// The name that overrides the token's.
    pub(super) name: Option<String>,
    /// The user's address, where no token says it.
    pub(super) email: Option<String>,
    /// The user's role, where it is not the token that says it.
    pub(super) role: Option<Role>,
    /// The collections of which the user is a member.
    pub(super) memberships: Memberships,
    /// What the key is limited to.
    pub(super) key: Option<KeyLimits>,
    /// Grows with each change; 0 if nothing is stored.
    pub(super) version: u64,
}

impl CallerRecord {
    fn barred(version: u64) -> Self {
        Self { barred: true, version, ..Self::default() }
    }

    fn of_user(user: User) -> Self {
        if user.is_removed() {
            return Self::barred(user.version);
        }
        let User { name, email, role, collections, version, .. } = user;
        Self { name, email, role, memberships: collections, version, ..Self::default() }
    }

    /// A key does what its maker may do now, as far as it is not limited.
    fn of_key(key: ApiKey, maker: &User) -> Self {
        if maker.is_removed() || maker.invited_at.is_some_and(|invited| key.created_at < invited) {
            return Self::barred(maker.version);
        }
        Self {
            barred: false,
            name: maker.name().map(str::to_owned),
            email: maker.email().map(str::to_owned),
            role: Some(maker.role()),
            memberships: maker.collections.clone(),
            key: Some(key.limits),
            version: maker.version,
        }
    }

    /// The caller with what is stored in place of what the credential said.
    pub(super) fn principal(self, identity: &Identity, tenant: &TenantRecord) -> Principal {
        let claims = match &identity.credential {
            Credential::Token(claims) => claims.clone(),
            // Without a record a key may do nothing; there is always one, or the door is shut.
            Credential::Key(_) => Claims { role: Role::Viewer, email: None, name: None },
        };
        let in_person = self.role.unwrap_or(claims.role);
        let collections = tenancy::readable(&tenant.collections, in_person, &self.memberships, self.key.as_ref());
        Principal {
            tenant: identity.tenant.clone(),
            user: identity.user.clone(),
            key: identity.key(),
            role: self.key.map_or(in_person, |key| in_person.min(key.role)),
            email: claims.email.or(self.email),
            name: self.name.or(claims.name),
            collections: collections.into(),
            editions: tenant.editions.clone().into(),
        }
    }

    /// What, beside the role in person, decides which answers are the caller's: a hash of the memberships and of what a key
    /// is limited to; empty if there is nothing. Callers with the same role and the same grants share cached answers. The
    /// role is not that of a key: an admin's key for viewers reads what is closed, and a viewer's does not.
    pub(super) fn grants(&self) -> String {
        if self.memberships.is_empty() && self.key.is_none() {
            return String::new();
        }
        let grants = serde_json::to_vec(&(&self.memberships, &self.key)).unwrap_or_default();
        format!(".{}", hex::encode(&Sha256::digest(grants)[..16]))
    }
}

/// Which records are needed.
#[derive(Debug, Clone)]
pub(super) struct Needed {
    pub(super) mark: bool,
    pub(super) tenant: bool,
    pub(super) caller: bool,
    /// Requests that were counted in a month and are to be entered.
    pub(super) requests: Option<(usage::Month, u64)>,
}

/// Records from the database.
#[derive(Debug, Clone, Default)]
pub(super) struct Loaded {
    pub(super) mark: Option<String>,
    pub(super) tenant: Option<TenantRecord>,
    pub(super) caller: Option<CallerRecord>,
}

type Item = HashMap<String, AttributeValue>;

/// Reads the records that are needed, side by side, and notes who came.
pub(super) async fn load(
    dynamodb: &DynamoDb,
    plans: &Plans,
    identity: &Identity,
    needed: &Needed,
) -> Result<Loaded, Error> {
    let tenant = &identity.tenant;
    let mark_key = needed.mark.then(|| Key::mark(tenant));
    let tenant_key = needed.tenant.then(|| Key::tenant(tenant));
    let user_key = needed.caller.then(|| Key::user(tenant, &identity.user));
    let api_key_key = identity.key().filter(|_| needed.caller).map(|id| Key::api_key(tenant, id));
    let keys = [&mark_key, &tenant_key, &user_key, &api_key_key].into_iter().flatten().cloned().collect();
    let collections =
        async { if needed.tenant { Collections::new(dynamodb).overview(tenant).await.map(Some) } else { Ok(None) } };
    let (records, ()) = futures::join!(
        async { futures::try_join!(dynamodb.get_batch(keys), collections) },
        enter_requests(dynamodb, tenant, needed),
    );
    let (mut items, collections) = records?;
    let mut take = |key: &Option<Key>| -> Option<Item> {
        let sort_key = &key.as_ref()?.sk;
        let place = items.iter().position(|item| item.get("sk").and_then(|sk| sk.as_s().ok()) == Some(sort_key))?;
        Some(items.swap_remove(place))
    };
    let (mark, tenant_item, user, api_key) = (take(&mark_key), take(&tenant_key), take(&user_key), take(&api_key_key));
    let mut loaded = Loaded::default();
    if needed.mark {
        loaded.mark = Some(epochs::mark(mark.as_ref()));
    }
    if let Some(Overview { access: collections, editions, had_others }) = collections {
        let stored = tenants::from_item(tenant_item)?;
        let plan = stored.plan.unwrap_or_else(|| plans.standard().to_owned());
        let limits = stored.limits.over(plans.limits(&plan));
        let (name, chat, version) = (stored.name, stored.chat, stored.version);
        loaded.tenant = Some(TenantRecord { name, plan, limits, chat, collections, editions, had_others, version });
    }
    if needed.caller {
        let user = user.map(users::from_item).transpose()?;
        loaded.caller = Some(caller(dynamodb, identity, user, api_key).await?);
    }
    Ok(loaded)
}

async fn caller(
    dynamodb: &DynamoDb,
    identity: &Identity,
    user: Option<User>,
    api_key: Option<Item>,
) -> Result<CallerRecord, Error> {
    let now = OffsetDateTime::now_utc();
    match &identity.credential {
        Credential::Token(claims) => {
            if user.as_ref().is_none_or(|user| !user.is_removed() && user.claims.as_ref() != Some(claims)) {
                let users = Users::new(dynamodb);
                let noted = users.appear(&identity.tenant, &identity.user, claims, user.as_ref(), now).await;
                note(noted, identity, "a user was not noted");
            }
            Ok(user.map_or_else(CallerRecord::default, CallerRecord::of_user))
        }
        Credential::Key(id) => {
            let (Some(api_key), Some(maker)) = (api_key, user) else { return Ok(CallerRecord::barred(0)) };
            let api_key = keys::from_item(api_key)?;
            if api_key.last_used_at.is_none_or(|last| now - last > LAST_USED) {
                let noted = Keys::new(dynamodb).used(&identity.tenant, *id, now).await;
                note(noted, identity, "the use of a key was not noted");
            }
            Ok(CallerRecord::of_key(api_key, &maker))
        }
    }
}

/// Enters the requests that the cache counted. If that fails they are lost: better than counted twice.
async fn enter_requests(dynamodb: &DynamoDb, tenant: &TenantId, needed: &Needed) {
    if let Some((month, requests)) = &needed.requests
        && let Err(error) = usage::Usage::new(dynamodb).add_requests(tenant, month, *requests).await
    {
        tracing::warn!(%tenant, requests, %error, "requests were not entered into the usage");
    }
}

/// What is noted is of no concern to the request that brought it up.
fn note(outcome: Result<(), Error>, identity: &Identity, what: &str) {
    if let Err(error) = outcome {
        tracing::warn!(tenant = %identity.tenant, %error, "{what}");
    }
}
