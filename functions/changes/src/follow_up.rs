//! What follows from a change beside stale answers: what is left of a thing that was deleted goes, usage is added up, and
//! webhooks are told.
//!
//! All of it may be done twice and ends the same, since a record may come twice.

use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use shared::clients::BlobKey;
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
            count_document(state, change).await?;
            if change.is_removal() {
                purge_document(state, change, *id).await?;
            }
            notices::send(state, change, *id, webhooks).await?;
        }
        Kind::Message => count_message(state, change).await?,
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

async fn count_document(state: &State, change: &Change) -> Result<(), Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Counted {
        size_bytes: i64,
        embedded_tokens: u64,
    }
    let (before, after): (Counted, Counted) = change.sides()?;
    let documents = i64::from(change.is_new()) - i64::from(change.is_removal());
    let stock = Stock { documents, storage_bytes: after.size_bytes - before.size_bytes };
    let used =
        Used { embedded_tokens: after.embedded_tokens.saturating_sub(before.embedded_tokens), ..Used::default() };
    add(state, change, &Delta { used, stock }).await
}

async fn count_message(state: &State, change: &Change) -> Result<(), Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Message {
        usage: Option<Tokens>,
    }
    #[derive(Deserialize)]
    struct Tokens {
        input_tokens: u64,
        output_tokens: u64,
    }
    let (before, after): (Message, Message) = change.sides()?;
    let tokens = |message: Message| message.usage.map_or(0, |usage| usage.input_tokens + usage.output_tokens);
    let chat_tokens = tokens(after).saturating_sub(tokens(before));
    add(state, change, &Delta { used: Used { chat_tokens, ..Used::default() }, ..Delta::default() }).await
}

async fn add(state: &State, change: &Change, delta: &Delta) -> Result<(), Fault> {
    Ok(state.usage.add(&change.tenant, &Month::of(change.at), delta, &change.record).await?)
}

/// Removes the passages and the originals of a document that is gone.
async fn purge_document(state: &State, change: &Change, id: DocumentId) -> Result<(), Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Versions {
        version: u32,
    }
    let (before, _): (Versions, Versions) = change.sides()?;
    state.chunks.delete_all(&change.tenant, id).await?;
    for version in 1..=before.version {
        state.blobs.delete(&BlobKey { tenant: change.tenant.clone(), document: id, version }).await?;
    }
    Ok(())
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
    let remove = |document| async move {
        match state.documents.find(tenant, document).await? {
            Some(document) => state.documents.delete(tenant, &document).await,
            None => Ok(()),
        }
    };
    stream::iter(documents).map(remove).buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await?;
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
