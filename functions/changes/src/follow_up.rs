//! What follows from a change beside stale answers: what is left of a thing that was deleted goes, usage is added up, and
//! webhooks are told.
//!
//! All of it may be done twice and ends the same, since a record may come twice.

use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use shared::clients::{BlobKey, CacheError};
use shared::documents::Status;
use shared::door::Scope;
use shared::error::Error;
use shared::tables::Kind;
use shared::tenancy::{CollectionId, DocumentId, Subject, TenantId, UserId};
use shared::usage::{Delta, Month, Stock, Used};
use time::OffsetDateTime;

use crate::State;
use crate::change::{Change, Malformed};
use crate::notices::{self, WebhooksOfTenants};

/// Documents that are removed side by side.
const SIDE_BY_SIDE: usize = 8;

/// Why a change was not followed up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// It never will be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It may be, the next time.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Does what follows from a change.
pub(crate) async fn follow_up(state: &State, change: &Change, webhooks: &mut WebhooksOfTenants) -> Result<(), Fault> {
    let tenant = &change.tenant;
    match &change.kind {
        Kind::Document(id) => {
            follow_document(state, change, *id).await?;
            notices::send(state, change, *id, webhooks).await?;
        }
        Kind::Collection(id) => {
            if was_just(change, |item| item.deleted_at)?.is_some() {
                purge_collection(state, tenant, id).await?;
            }
        }
        Kind::User(id) => {
            if let Some(removed_at) = was_just(change, |item| item.removed_at)? {
                purge_user(state, tenant, id, removed_at).await?;
            }
        }
        Kind::ApiKey(id) if change.is_removal() => {
            state.conversations.purge(tenant, Subject::Key(*id), OffsetDateTime::now_utc()).await?;
        }
        Kind::Tenant | Kind::ApiKey(_) => {}
    }
    Ok(())
}

/// The marks of what is deleted but still stored.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Marks {
    #[serde(with = "time::serde::rfc3339::option")]
    deleted_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    removed_at: Option<OffsetDateTime>,
}

/// The mark, if the change left it.
fn was_just(change: &Change, mark: fn(Marks) -> Option<OffsetDateTime>) -> Result<Option<OffsetDateTime>, Malformed> {
    let (before, after): (Marks, Marks) = change.sides()?;
    let (before, after) = (mark(before), mark(after));
    Ok(after.filter(|_| after != before))
}

/// What decides what follows from a change of a document.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    collection: Option<CollectionId>,
    version: u32,
    served_version: Option<u32>,
    status: Option<Status>,
    size_bytes: i64,
    embedded_tokens: u64,
}

impl Document {
    fn is_in_work(&self) -> bool {
        self.status.is_some_and(|status| !matches!(status, Status::Ready | Status::Failed))
    }
}

async fn follow_document(state: &State, change: &Change, id: DocumentId) -> Result<(), Fault> {
    let tenant = &change.tenant;
    let (before, after): (Document, Document) = change.sides()?;
    let stock = Stock {
        documents: i64::from(change.is_new()) - i64::from(change.is_removal()),
        storage_bytes: after.size_bytes - before.size_bytes,
        ingesting: i64::from(after.is_in_work()) - i64::from(before.is_in_work()),
    };
    let embedded_tokens = after.embedded_tokens.saturating_sub(before.embedded_tokens);
    add(state, change, &Delta { used: Used { embedded_tokens, ..Used::default() }, stock }).await?;
    if change.is_removal() {
        state.chunks.delete_all(tenant, id).await?;
        state.blobs.delete_document(tenant, id).await?;
        return Ok(());
    }
    if let Some(served) = after.served_version.filter(|served| *served > 1 && before.served_version != Some(*served)) {
        state.chunks.delete_before(tenant, id, served).await?;
        state.blobs.delete_before(tenant, id, served).await?;
    }
    // Replaced before it was served, as when it failed. A worker that is still at it clears what it writes from here on.
    if !change.is_new() && after.version > before.version && before.served_version != Some(before.version) {
        let key = BlobKey { tenant: tenant.clone(), document: id, version: before.version };
        state.chunks.delete_from(tenant, id, key.version, 0).await?;
        state.blobs.delete_version(&key).await?;
    }
    if !change.is_new() && before.collection != after.collection {
        follow_move(state, tenant, id).await?;
    }
    Ok(())
}

/// Takes the passages to where the document is now; this change may be followed by others.
async fn follow_move(state: &State, tenant: &TenantId, id: DocumentId) -> Result<(), Error> {
    let Some(document) = state.documents.find(tenant, id).await? else { return Ok(()) };
    state.chunks.rescope(tenant, &document.collection, id).await?;
    // Searches since the move were answered without them.
    match state.epochs.renew(tenant, &[Scope::Search]).await {
        Ok(()) | Err(CacheError::NotConfigured) => Ok(()),
        Err(error) => Err(Error::unavailable(error.to_string())),
    }
}

async fn add(state: &State, change: &Change, delta: &Delta) -> Result<(), Fault> {
    Ok(state.usage.add(&change.tenant, &Month::of(change.at), delta, &change.record).await?)
}

/// Removes the documents of a collection that was deleted, each of which leaves a record of its own, and its members.
async fn purge_collection(state: &State, tenant: &TenantId, id: &CollectionId) -> Result<(), Error> {
    let documents = state.documents.ids_in(tenant, id, usize::MAX).await?;
    let members = state.users.members(tenant, id).await?;
    // Looked for last: another that was made by this id since is not to lose what it has. There was nothing left of this
    // one when it was made.
    if state.collections.exists(tenant, id).await? {
        return Ok(());
    }
    tracing::info!(%tenant, collection = %id, documents = documents.len(), "purging a collection");
    let now = OffsetDateTime::now_utc();
    let remove = |document| state.documents.delete(tenant, id, document, now);
    let removals = stream::iter(documents).map(remove).buffer_unordered(SIDE_BY_SIDE);
    removals.try_for_each(async |_| Ok(())).await?;
    for user in members {
        state.users.leave(tenant, &user, id).await?;
    }
    Ok(())
}

/// Removes the keys and conversations that a user had when the user was removed, and none from after a new invitation.
async fn purge_user(state: &State, tenant: &TenantId, id: &UserId, removed_at: OffsetDateTime) -> Result<(), Error> {
    let keys = state.keys.list(tenant).await?;
    for key in keys.iter().filter(|key| key.created_by == *id && key.created_at < removed_at) {
        state.keys.revoke(tenant, key, None).await?;
    }
    state.conversations.purge(tenant, Subject::User(id), removed_at).await
}
