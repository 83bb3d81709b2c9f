use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::constant_time;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Secret;
use crate::acting;
use crate::auth::{Credential, Identity};
use crate::clients::DynamoDb;
use crate::error::Error;
use crate::tables::Key;
use crate::tenancy::{KeyId, TenantId, UserId};

/// The most keys that a process remembers; when there are more, it forgets them all.
const MAX_REMEMBERED: usize = 10_000;

/// Whose a key is. None of it ever changes, so that a process may remember it for as long as it lives; whether the key was
/// revoked is the door's to say, by what the tenant keeps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Owner {
    pub(super) tenant: TenantId,
    pub(super) user: UserId,
    pub(super) id: KeyId,
    pub(super) sha256: String,
    #[serde(default, with = "time::serde::timestamp::option", skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<OffsetDateTime>,
}

/// Finds out whose an API key is.
#[derive(Debug, Clone)]
pub struct KeyRing {
    dynamodb: DynamoDb,
    remembered: Arc<Mutex<HashMap<String, Owner>>>,
}

impl KeyRing {
    /// A ring over the keys in this database.
    pub fn new(dynamodb: &DynamoDb) -> Self {
        Self { dynamodb: dynamodb.clone(), remembered: Arc::default() }
    }

    /// Whom a key speaks for. One that was mistyped costs no read.
    pub async fn find(&self, text: &str, now: OffsetDateTime) -> Result<Identity, Error> {
        let secret: Secret = text.parse().map_err(|_| Error::Unauthenticated("the API key is malformed"))?;
        let sha256 = secret.sha256();
        let remembered = self.lock().get(&sha256).cloned();
        let owner = match remembered {
            Some(owner) => owner,
            None => self.load(sha256).await?,
        };
        if owner.expires_at.is_some_and(|end| end <= now) {
            return Err(Error::Unauthenticated("the API key has expired"));
        }
        let Owner { tenant, user, id, expires_at, .. } = owner;
        Ok(Identity { tenant, user, credential: Credential::Key(id), expires_at })
    }

    async fn load(&self, sha256: String) -> Result<Owner, Error> {
        const UNKNOWN: Error = Error::Unauthenticated("the API key is not known");
        // Whose tenant it is, is what is asked.
        let item = acting::for_deployment(self.dynamodb.get(Key::api_key_owner(&sha256))).await?.ok_or(UNKNOWN)?;
        let owner: Owner = serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?;
        constant_time::verify_slices_are_equal(owner.sha256.as_bytes(), sha256.as_bytes()).map_err(|_| UNKNOWN)?;
        let mut remembered = self.lock();
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(sha256, owner.clone());
        Ok(owner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Owner>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
