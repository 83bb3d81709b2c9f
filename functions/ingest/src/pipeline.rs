//! One original from bytes to `ready`.

use aws_lambda_events::sqs::SqsMessage;
use shared::chunks::Chunk;
use shared::clients::BlobKey;
use shared::documents::{Document, ErrorCode, Failure, StageName, Status};
use shared::door::Scope;
use shared::embed::{EmbedError, Embedder, estimated_tokens};
use shared::error::Error;
use time::OffsetDateTime;

use crate::State;
use crate::chunk::{self, Passage};
use crate::extract;
use crate::notification::{announced, attempt};
use crate::surrender;

/// Passages whose vectors are asked for together.
const BATCH: usize = 32;
/// The most passages of a document: about a thousand dense pages.
const MAX_CHUNKS: usize = 10_000;

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

/// Works on all that a message announces. An error means that the message should come back.
pub(crate) async fn run(state: &State, message: &SqsMessage) -> Result<(), Error> {
    let last_attempt = attempt(message) >= state.config.max_attempts;
    for key in announced(message).map_err(Error::internal)? {
        let Some(document) = state.documents.find(&key.tenant, key.document).await? else { continue };
        if document.version != key.version || document.status == Status::Ready {
            continue;
        }
        let (failure, outcome) = match work(state, &key, document.clone()).await {
            Ok(()) => continue,
            Err(Stop::Obsolete) => {
                tracing::info!(tenant = %key.tenant, document = %key.document, "nothing left to do");
                continue;
            }
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
        state.documents.failed(&key.tenant, &document, &failure, OffsetDateTime::now_utc()).await?;
        tell(state, &key, &[]).await;
        outcome?;
    }
    Ok(())
}

async fn work(state: &State, key: &BlobKey, document: Document) -> Result<(), Stop> {
    let document = begin(state, key, &document, StageName::Extracting).await?;
    let bytes = state.blobs.get(key).await?.ok_or_else(|| Error::unavailable("the original is not there"))?;
    let passages = passages(state, &document, bytes.into()).await?;

    let document = begin(state, key, &document, StageName::Embedding).await?;
    let tokens = passages.iter().map(|passage| estimated_tokens(&passage.embedded)).sum();
    let mut vectors = Vec::with_capacity(passages.len());
    for batch in passages.chunks(BATCH) {
        let texts: Vec<String> = batch.iter().map(|passage| passage.embedded.clone()).collect();
        vectors.extend(state.embedder.embed(&texts).await.map_err(embedding_stop)?);
    }

    let document = begin(state, key, &document, StageName::Indexing).await?;
    let chunks: Vec<(Chunk, Vec<f32>)> = passages
        .into_iter()
        .zip(vectors)
        .zip(0..)
        .map(|((passage, vector), index)| (passage.into_chunk(document.version, index), vector))
        .collect();
    state.chunks.put(&key.tenant, &document.collection, document.id, &chunks).await?;

    let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    let ready = state.documents.ready(&key.tenant, &document, count, tokens, OffsetDateTime::now_utc()).await?;
    if ready.is_none() {
        remove_orphans(state, key).await?;
        return Err(Stop::Obsolete);
    }
    tell(state, key, &[Scope::Search]).await;
    tracing::info!(tenant = %key.tenant, document = %key.document, chunks = count, "ready");
    Ok(())
}

/// A document that was deleted while its passages were written leaves them behind, where nobody would remove them.
async fn remove_orphans(state: &State, key: &BlobKey) -> Result<(), Error> {
    if state.documents.find(&key.tenant, key.document).await?.is_none() {
        state.chunks.delete_all(&key.tenant, key.document).await?;
    }
    Ok(())
}

async fn begin(state: &State, key: &BlobKey, document: &Document, stage: StageName) -> Result<Document, Stop> {
    let now = OffsetDateTime::now_utc();
    let document = state.documents.begin_stage(&key.tenant, document, stage, now).await?.ok_or(Stop::Obsolete)?;
    tell(state, key, &[]).await;
    Ok(document)
}

/// Nobody waits for the worker to have told the cache, so what fails here is left to the consumer of the stream.
async fn tell(state: &State, key: &BlobKey, also: &[Scope]) {
    let scopes = [&[Scope::Document(key.document), Scope::Documents], also].concat();
    if let Err(error) = state.epochs.renew(&key.tenant, &scopes).await {
        tracing::warn!(tenant = %key.tenant, %error, "the cache could not be told how a document gets on");
    }
}

/// Reads and splits on a thread of its own: it is pure computation, and a parser that panics takes nothing with it.
async fn passages(state: &State, document: &Document, bytes: Vec<u8>) -> Result<Vec<Passage>, Stop> {
    let (filename, embedder) = (document.filename.clone(), state.embedder.clone());
    let task = tokio::task::spawn_blocking(move || split(&bytes, &filename, embedder.as_ref()));
    match task.await {
        Ok(passages) => passages.map_err(Stop::Failed),
        Err(panic) => {
            tracing::error!(document = %document.id, %panic, "a parser gave up");
            Err(Stop::Failed(Failure {
                code: ErrorCode::Corrupt,
                detail: "The file is damaged or built in a way that cannot be read.".into(),
            }))
        }
    }
}

fn split(bytes: &[u8], filename: &str, embedder: &dyn Embedder) -> Result<Vec<Passage>, Failure> {
    let text = extract::extract(bytes, filename)?;
    let passages = chunk::split(&text, filename, embedder);
    if passages.is_empty() {
        return Err(extract::no_text());
    }
    if passages.len() > MAX_CHUNKS {
        return Err(Failure {
            code: ErrorCode::TooLarge,
            detail: format!("The document has {} passages; {MAX_CHUNKS} are the most.", passages.len()),
        });
    }
    Ok(passages)
}

fn embedding_stop(error: EmbedError) -> Stop {
    match error {
        EmbedError::Unavailable(_) => Stop::Retry(ErrorCode::EmbeddingFailed, error.into()),
        EmbedError::Refused(reason) => {
            tracing::error!(reason, "the embedder refused a passage");
            Stop::Failed(Failure {
                code: ErrorCode::EmbeddingFailed,
                detail: "The embedding model refused the text of the document.".into(),
            })
        }
    }
}
