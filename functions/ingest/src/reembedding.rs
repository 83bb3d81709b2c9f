//! Documents get vectors of another model: tenant by tenant, collection by collection, document by document, a message at a
//! time. Each step may be done twice, and whatever is left undone is found again: what is done is noted with the documents and
//! their collections, and a message only says where to go on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt, TryStreamExt};
use shared::chunks::{Lacking, Vector};
use shared::documents::Behind;
use shared::embed::EmbedError;
use shared::error::Error;
use shared::tasks::{Reembedding, Survey, Task};
use shared::tenancy::{CollectionId, TenantId};
use time::OffsetDateTime;

use crate::State;
use crate::embedding::{NotStored, vectors};

/// How long a message is worked on before the rest goes into another. For so long a file that somebody waits for may wait
/// for a worker.
const SHIFT: Duration = Duration::from_secs(20);
/// Documents that are looked for at a time.
const DOCUMENTS: usize = 100;

/// How a collection got on.
enum Pass {
    /// It has all it can get, or is gone.
    Over,
    /// There is more to do.
    Again,
    /// The time of the message is over.
    Unfinished,
    /// Something that others do must be awaited.
    Waiting,
}

/// Sends a message for each tenant that has documents.
pub(crate) async fn survey(state: &State, mut survey: Survey) -> Result<(), Error> {
    let started = Instant::now();
    let since = OffsetDateTime::now_utc().unix_timestamp();
    loop {
        let (tenants, after) = state.tenants.with_documents(survey.after).await?;
        for tenant in tenants {
            let (collection, after, refused) = (None, None, BTreeSet::new());
            let task = Task::Reembed(Reembedding { tenant, since, collection, after, refused });
            state.queue.send(task.in_background(Duration::ZERO)?).await?;
        }
        if after.is_none() {
            tracing::info!(edition = %state.models.current.edition, "all tenants are being re-embedded");
            return Ok(());
        }
        survey = Survey { after };
        if started.elapsed() > SHIFT {
            return state.queue.send(Task::Reindex(survey).in_background(Duration::ZERO)?).await;
        }
    }
}

/// Gives the documents of a tenant vectors of the current model, until all of its collections are complete.
pub(crate) async fn reembed(state: &State, mut task: Reembedding) -> Result<(), Error> {
    let started = Instant::now();
    while let Some(collection) = next(state, &task).await? {
        if task.collection.as_ref() != Some(&collection) {
            (task.collection, task.after) = (Some(collection.clone()), None);
        }
        match pass(state, &mut task, &collection, started).await? {
            Pass::Over => {}
            Pass::Again if started.elapsed() <= SHIFT => {}
            Pass::Again | Pass::Unfinished => return go_on(state, task, Duration::ZERO).await,
            Pass::Waiting => return go_on(state, task, state.config.retry).await,
        }
    }
    let (tenant, refused) = (&task.tenant, task.refused.len());
    tracing::info!(%tenant, edition = %state.models.current.edition, refused, "all that can be re-embedded is");
    Ok(())
}

async fn go_on(state: &State, task: Reembedding, delay: Duration) -> Result<(), Error> {
    state.queue.send(Task::Reembed(task).in_background(delay)?).await
}

/// The first collection that is not complete. Asked for anew each time: a document that is moved may set one back.
async fn next(state: &State, task: &Reembedding) -> Result<Option<CollectionId>, Error> {
    let edition = state.models.current.edition;
    let overview = state.collections.overview(&task.tenant).await?;
    let mut incomplete = overview.access.into_keys().filter(|id| {
        let complete = overview.editions.get(id).copied().unwrap_or_default();
        complete < edition && !task.refused.contains(id)
    });
    Ok(incomplete.next())
}

async fn pass(
    state: &State,
    task: &mut Reembedding,
    collection: &CollectionId,
    started: Instant,
) -> Result<Pass, Error> {
    loop {
        let documents = behind(state, task, collection, DOCUMENTS).await?;
        if documents.is_empty() {
            task.after = None;
            return conclude(state, task, collection).await;
        }
        for document in documents {
            let caught_up = catch_up(state, &task.tenant, &document, started).await;
            match caught_up {
                Ok(true) => task.after = Some(document.id),
                Ok(false) => return Ok(Pass::Unfinished),
                Err(NotStored::NotWritten(error)) => return Err(error),
                Err(NotStored::NotEmbedded(error @ EmbedError::Unavailable(_))) => return Err(error.into()),
                Err(NotStored::NotEmbedded(EmbedError::Refused(reason))) => {
                    let (tenant, document) = (&task.tenant, document.id);
                    tracing::error!(%tenant, %collection, %document, reason, "a model refuses a text, so its collection stays with the model before");
                    task.refused.insert(collection.clone());
                    return Ok(Pass::Over);
                }
            }
        }
    }
}

async fn behind(
    state: &State,
    task: &Reembedding,
    collection: &CollectionId,
    most: usize,
) -> Result<Vec<Behind>, Error> {
    let since = OffsetDateTime::from_unix_timestamp(task.since).map_err(Error::internal)?;
    let edition = state.models.current.edition;
    state.documents.behind(&task.tenant, collection, edition, since, task.after, most).await
}

/// Takes note that the collection is complete, if it is and if searches in the edition are answered.
async fn conclude(state: &State, task: &Reembedding, collection: &CollectionId) -> Result<Pass, Error> {
    let (tenant, model) = (&task.tenant, &state.models.current);
    let mut any = vec![0.0; model.embedder.dimensions()];
    any[0] = 1.0;
    if state.chunks.nearest(tenant, collection, None, model.edition, &any).await?.is_none() {
        return Ok(Pass::Waiting);
    }
    let Some(check) = state.collections.check(tenant, collection).await? else { return Ok(Pass::Over) };
    let left = behind(state, task, collection, 1).await?;
    if left.iter().any(|document| document.served_version.is_some()) {
        return Ok(Pass::Again);
    }
    if !left.is_empty() {
        return Ok(Pass::Waiting);
    }
    if !state.collections.complete(tenant, collection, model.edition, &check).await? {
        return Ok(Pass::Again);
    }
    tracing::info!(%tenant, %collection, edition = %model.edition, "searches of a collection switch");
    Ok(Pass::Over)
}

/// Gives the passages of a document their vectors. False if the time was over before the end.
async fn catch_up(state: &State, tenant: &TenantId, document: &Behind, started: Instant) -> Result<bool, NotStored> {
    // A worker is at it; what comes of that is seen later.
    let Some(version) = document.served_version else { return Ok(true) };
    let model = &state.models.current;
    let mut rest = None;
    loop {
        if started.elapsed() > SHIFT {
            return Ok(false);
        }
        let page = state.chunks.lacking(tenant, document.id, model, rest).await;
        let (passages, more) = page.map_err(NotStored::NotWritten)?;
        embed(state, passages).await?;
        rest = more;
        if rest.is_none() {
            break;
        }
    }
    let noted = state.documents.caught_up(tenant, document.id, version, model.edition).await;
    noted.map_err(NotStored::NotWritten)?;
    Ok(true)
}

async fn embed(state: &State, mut passages: Vec<Lacking>) -> Result<(), NotStored> {
    let mut batches = Vec::new();
    while !passages.is_empty() {
        let rest = passages.split_off(state.config.embed_batch.min(passages.len()));
        batches.push(std::mem::replace(&mut passages, rest));
    }
    let batches = stream::iter(batches).map(|batch| embed_batch(state, batch));
    batches.buffer_unordered(state.config.embed_concurrency).try_collect().await
}

async fn embed_batch(state: &State, passages: Vec<Lacking>) -> Result<(), NotStored> {
    let model = &state.models.current;
    let texts: Vec<String> = passages.iter().map(|passage| passage.source.clone()).collect();
    let vectors = vectors(model.embedder.as_ref(), &texts).await?;
    let passages = passages.into_iter().zip(vectors).map(|(passage, numbers)| {
        let fingerprint = passage.fingerprint.clone();
        (passage, Vector { edition: model.edition, fingerprint, numbers })
    });
    state.chunks.complete(passages.collect()).await.map_err(NotStored::NotWritten)
}
