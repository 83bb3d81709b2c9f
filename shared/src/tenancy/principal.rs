use std::collections::BTreeMap;
use std::sync::Arc;

use super::{CollectionId, KeyId, Permission, Role, TenantId, UserId};
use crate::editions::Edition;
use crate::error::Error;

/// The caller of a request, with what they may do. Only [`crate::door`] makes one, out of a verified credential and what
/// the tenant keeps of its users, keys and collections; so a tenant never comes from anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The tenant whose data the request may touch.
    pub tenant: TenantId,
    /// The user within that tenant; for an API key the one who made it.
    pub user: UserId,
    /// The API key, if the request came with one.
    pub key: Option<KeyId>,
    /// What the caller may do where no collection says otherwise.
    pub role: Role,
    /// The address of the user, if it is known.
    pub email: Option<String>,
    /// The display name of the user, if there is one.
    pub name: Option<String>,
    /// The collections that the caller may read, with the role in each. Others do not exist for the caller.
    pub collections: Arc<BTreeMap<CollectionId, Role>>,
    /// Collections of the tenant whose documents all have vectors of this or an earlier edition. What is not among them may
    /// have those of the first only.
    pub editions: Arc<BTreeMap<CollectionId, Edition>>,
}

/// Whose conversations are whose: those of a key are not its maker's, who may see more than the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A user in person.
    User(&'a UserId),
    /// An API key.
    Key(KeyId),
}

impl Principal {
    /// Refuses a caller without the permission.
    pub fn require(&self, permission: Permission) -> Result<(), Error> {
        permitted(self.role, permission)
    }

    /// Refuses a caller without the permission in a collection; [`Error::NotFound`] to who may not even read it.
    pub fn require_in(&self, permission: Permission, collection: &CollectionId) -> Result<(), Error> {
        permitted(self.role_in(collection).ok_or(Error::NotFound)?, permission)
    }

    /// The role in a collection; `None` if the caller may not read it, or there is none.
    pub fn role_in(&self, collection: &CollectionId) -> Option<Role> {
        self.collections.get(collection).copied()
    }

    /// Whether the caller may read a collection.
    pub fn reads(&self, collection: &CollectionId) -> bool {
        self.collections.contains_key(collection)
    }

    /// Whether all documents of a collection have vectors of an edition.
    pub fn finds(&self, collection: &CollectionId, edition: Edition) -> bool {
        self.editions.get(collection).is_some_and(|complete| *complete >= edition)
    }

    /// Whether the caller may read all of the tenant's collections.
    pub fn reads_all<T>(&self, collections: &BTreeMap<CollectionId, T>) -> bool {
        collections.keys().all(|id| self.reads(id))
    }

    /// Whose conversations the caller continues.
    pub fn subject(&self) -> Subject<'_> {
        self.key.map_or(Subject::User(&self.user), Subject::Key)
    }
}

fn permitted(role: Role, permission: Permission) -> Result<(), Error> {
    if role.may(permission) { Ok(()) } else { Err(Error::Forbidden { required: permission.lowest_role() }) }
}
