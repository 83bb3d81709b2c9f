//! One original from bytes to `ready`.

use aws_lambda_events::sqs::SqsMessage;
use shared::acting;
use shared::clients::{BlobKey, Fetched};
use shared::documents::{Arrived, Document, ErrorCode, Failure, Finished, Indexed, StageName, Status};
use shared::door::Scope;
use shared::embed::EmbedError;
use shared::error::Error;
use shared::language::Language;
use shared::tasks::{Awaited, Task};
use shared::telemetry;
use tempfile::NamedTempFile;
use time::OffsetDateTime;
use tracing::Instrument;

use crate::State;
use crate::chunk::{self, Passage};
use crate::embedding::{self, NotStored};
use crate::extractor::NotExtracted;
use crate::language;
use crate::notification::{announced, attempt};
use crate::reembedding;
use crate::surrender;
use crate::terms;
use crate::text::Text;

/// Why the work on a document stopped.
enum Stop {
    /// There is nothing to do any more: the document is gone, replaced or ready.
    Obsolete,
    /// The document cannot be used; trying again will not help.
    Failed(Failure),
    /// Something is away; trying again may help.
    Retry(ErrorCode, Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Retry(ErrorCode::Internal, error)
    }
}

impl From<NotExtracted> for Stop {
    fn from(reason: NotExtracted) -> Self {
        match reason {
            NotExtracted::Failed(failure) => Self::Failed(failure),
            NotExtracted::Retry(error) => error.into(),
        }
    }
}

impl From<NotStored> for Stop {
    fn from(reason: NotStored) -> Self {
        match reason {
            NotStored::NotWritten(error) => error.into(),
            NotStored::NotEmbedded(error @ EmbedError::Unavailable(_)) => {
                Self::Retry(ErrorCode::EmbeddingFailed, error.into())
            }
            NotStored::NotEmbedded(EmbedError::Refused(reason)) => {
                tracing::error!(reason, "the embedder refused a passage");
                Self::failed(ErrorCode::EmbeddingFailed, "The embedding model refused the text of the document.")
            }
        }
    }
}

impl Stop {
    fn failed(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self::Failed(Failure { code, detail: detail.into() })
    }
}

/// Works on all that a message asks for. An error means that the message should come back.
pub(crate) async fn run(state: &State, message: &SqsMessage) -> Result<(), Error> {
    let last_attempt = attempt(message) >= state.config.max_attempts;
    match Task::read(message.body.as_deref().unwrap_or_default()) {
        Some(Task::Expire(awaited)) => {
            let tenant = awaited.key().tenant;
            return acting::for_tenant(&tenant, expire(state, awaited, last_attempt)).await;
        }
        Some(Task::Reindex(survey)) => return acting::for_deployment(reembedding::survey(state, survey)).await,
        Some(Task::Reembed(task)) => {
            let tenant = task.tenant.clone();
            return acting::for_tenant(&tenant, reembedding::reembed(state, task)).await;
        }
        None => {}
    }
    for key in announced(message).map_err(Error::internal)? {
        acting::for_tenant(&key.tenant, work_on(state, &key, last_attempt)).await?;
    }
    Ok(())
}

/// Gives up a version whose bytes did not arrive, or asks to be asked again when it is time. If they are there and nobody is
/// at work, their announcement waits behind others, or is lost, or was for an attempt that failed: it is not waited for.
async fn expire(state: &State, awaited: Awaited, last_attempt: bool) -> Result<(), Error> {
    let (key, now) = (awaited.key(), OffsetDateTime::now_utc());
    let found = state.documents.find(&key.tenant, key.document).await?;
    let waits = |status| matches!(status, Status::AwaitingUpload | Status::Queued);
    if !found.is_some_and(|found| found.version == key.version && waits(found.status)) {
        return Ok(());
    }
    if state.blobs.exists(&key).await? {
        return work_on(state, &key, last_attempt).await;
    }
    if awaited.expires_at > now.unix_timestamp() {
        return state.queue.send(awaited.message(now.unix_timestamp())?).await;
    }
    if state.documents.expire(&key.tenant, key.document, key.version, now).await?.is_some() {
        tracing::info!(tenant = %key.tenant, document = %key.document, "its bytes did not arrive");
        tell(state, &key, &[]).await;
    }
    Ok(())
}

async fn work_on(state: &State, key: &BlobKey, last_attempt: bool) -> Result<(), Error> {
    let document = match state.documents.find(&key.tenant, key.document).await? {
        Some(document) if document.version == key.version => document,
        _ => return clear(state, key).await,
    };
    // What a worker said of these bytes stays so, however often they are announced.
    if document.status == Status::Ready || document.error.as_ref().is_some_and(|failure| !failure.code.may_pass()) {
        return Ok(());
    }
    let root = telemetry::job("ingest", &key.tenant, Some(key.document), document.trace.clone());
    let done = work(state, key, document.clone()).instrument(root.span().clone()).await;
    if let Err(Stop::Failed(Failure { code, .. }) | Stop::Retry(code, _)) = &done {
        root.failed(code.as_str());
    }
    let (failure, outcome) = match done {
        Ok(()) => return Ok(()),
        Err(Stop::Obsolete) => return clear(state, key).await,
        Err(Stop::Failed(failure)) => (failure, Ok(())),
        Err(Stop::Retry(_, error)) if !last_attempt => return Err(error),
        Err(Stop::Retry(code, error)) => {
            tracing::error!(tenant = %key.tenant, document = %key.document, %error, "given up");
            // As an error, so that the message is kept among the dead letters.
            (surrender::failure(code), Err(error))
        }
    };
    tracing::info!(tenant = %key.tenant, document = %key.document, code = ?failure.code, "failed");
    let document = state.documents.find(&key.tenant, key.document).await?.unwrap_or(document);
    if document.version == key.version {
        state.documents.failed(&key.tenant, &document, &failure, OffsetDateTime::now_utc()).await?;
        tell(state, key, &[]).await;
    }
    outcome
}

async fn work(state: &State, key: &BlobKey, document: Document) -> Result<(), Stop> {
    let document = begin(state, key, &document, StageName::Extracting).await?;
    let step = tracing::info_span!(target: telemetry::STEP, "extract");
    let extracted = async {
        let (document, text) = text(state, key, document).await?;
        state.texts.put(key, text.plain()).await?;
        let (passages, language) = passages(state, &document, text).await?;
        Ok::<_, Stop>((document, passages, language))
    };
    let (document, passages, language) = extracted.instrument(step).await?;

    let document = begin(state, key, &document, StageName::Embedding).await?;
    let count = u32::try_from(passages.len()).unwrap_or(u32::MAX);
    let step = tracing::info_span!(target: telemetry::STEP, "embed", ragline.chunks = i64::from(count));
    let tokens = embedding::store(state, key, &document, passages).instrument(step).await?;
    let edition = state.models.current.edition;
    let indexed = Indexed { chunk_count: count, embedded_tokens: tokens, edition, language };

    let written_to = document.collection.clone();
    let document = begin(state, key, &document, StageName::Indexing).await?;
    let step = tracing::info_span!(target: telemetry::STEP, "index");
    let made_visible = async {
        // What another release of the worker, which cut otherwise, may have left.
        state.chunks.delete_from(&key.tenant, key.document, key.version, count).await?;
        finish(state, key, Document { collection: written_to, ..document }, &indexed).await?;
        tell(state, key, &[Scope::Search]).await;
        Ok::<_, Stop>(())
    };
    made_visible.instrument(step).await?;
    tracing::info!(tenant = %key.tenant, document = %key.document, chunks = count, "ready");
    Ok(())
}

/// Makes the version visible. A document that was moved meanwhile takes its passages along first.
async fn finish(state: &State, key: &BlobKey, mut document: Document, indexed: &Indexed) -> Result<(), Stop> {
    loop {
        let now = OffsetDateTime::now_utc();
        match state.documents.ready(&key.tenant, &document, indexed, now).await? {
            Finished::Ready => return Ok(()),
            Finished::Obsolete => return Err(Stop::Obsolete),
            Finished::Moved(moved) => {
                state.chunks.rescope(&key.tenant, &moved.collection, key.document).await?;
                document = *moved;
            }
        }
    }
}

/// Removes what this worker, or one before it, may have written for a version that nobody will serve: its document is gone or
/// was replaced. Whoever deleted or replaced it may have looked before it was written.
pub(crate) async fn clear(state: &State, key: &BlobKey) -> Result<(), Error> {
    match state.documents.find(&key.tenant, key.document).await? {
        None => {
            state.chunks.delete_all(&key.tenant, key.document).await?;
            state.blobs.delete_document(&key.tenant, key.document).await?;
        }
        Some(document) if document.version != key.version && document.served_version != Some(key.version) => {
            state.chunks.delete_from(&key.tenant, key.document, key.version, 0).await?;
            state.blobs.delete_version(key).await?;
        }
        // Another worker was faster. What this one wrote after that is the same, but for the collection if the document was
        // moved since this one looked.
        Some(document) => state.chunks.rescope(&key.tenant, &document.collection, key.document).await?,
    }
    tracing::info!(tenant = %key.tenant, document = %key.document, version = key.version, "nothing left to do");
    Ok(())
}

async fn begin(state: &State, key: &BlobKey, document: &Document, stage: StageName) -> Result<Document, Stop> {
    let now = OffsetDateTime::now_utc();
    tracing::debug!(?stage, "a stage begins");
    let document = state.documents.begin_stage(&key.tenant, document, stage, now).await?.ok_or(Stop::Obsolete)?;
    tell(state, key, &[]).await;
    Ok(document)
}

/// Nobody waits for the worker to have told the cache, so what fails here is left to the consumer of the stream.
pub(crate) async fn tell(state: &State, key: &BlobKey, also: &[Scope]) {
    let scopes = [&[Scope::Document(key.document), Scope::Documents], also].concat();
    if let Err(error) = state.epochs.renew(&key.tenant, &scopes).await {
        tracing::debug!(tenant = %key.tenant, %error, "the cache could not be told how a document gets on");
    }
}

async fn text(state: &State, key: &BlobKey, document: Document) -> Result<(Document, Text), Stop> {
    let original = NamedTempFile::new().map_err(|error| Error::unavailable(format!("a temporary file: {error}")))?;
    let fetched = state.blobs.fetch(key, original.path()).await?;
    let fetched = fetched.ok_or_else(|| Error::unavailable("the original is not there"))?;
    let document = known(state, key, document, fetched).await?;
    let text = state.extractor.extract(original.path(), &document.filename).await?;
    Ok((document, text))
}

/// The document with the checksum of its bytes, which are those that were announced.
async fn known(state: &State, key: &BlobKey, document: Document, fetched: Fetched) -> Result<Document, Stop> {
    let other = "The bytes that arrived are not those that were announced; upload them again.";
    if fetched.size_bytes != document.size_bytes {
        return Err(Stop::failed(ErrorCode::Corrupt, other));
    }
    match &document.sha256 {
        Some(sha256) if *sha256 == fetched.sha256 => Ok(document),
        Some(_) => Err(Stop::failed(ErrorCode::Corrupt, other)),
        None => {
            let now = OffsetDateTime::now_utc();
            match state.documents.arrived(&key.tenant, &document, &fetched.sha256, now).await? {
                Arrived::Known(document) => Ok(*document),
                Arrived::Obsolete => Err(Stop::Obsolete),
                Arrived::Elsewhere(id) => {
                    let detail = format!("The collection has the same bytes already, as document {id}.");
                    Err(Stop::failed(ErrorCode::Duplicate, detail))
                }
            }
        }
    }
}

/// Splits on a thread of its own: it is pure computation.
async fn passages(state: &State, document: &Document, text: Text) -> Result<(Vec<Passage>, Option<Language>), Stop> {
    let (filename, embedder) = (document.filename.clone(), state.models.narrowest().embedder.clone());
    let most = state.config.terms;
    let task = tokio::task::spawn_blocking(move || {
        let language = language::of(text.plain());
        let mut passages = chunk::split(&text, &filename, embedder.as_ref())?;
        terms::add(&mut passages, &text.joints().collect::<Vec<_>>(), most);
        Ok((passages, language))
    });
    task.await.map_err(Error::internal)?.map_err(Stop::Failed)
}
