//! Entering a document before its bytes are there.

use shared::documents::{Created, Document, Incoming, Replaced, Status};
use shared::error::Error;
use shared::tasks::Awaited;
use shared::telemetry::Traceparent;
use shared::tenancy::{CollectionId, DocumentId, Permission};
use time::OffsetDateTime;

use crate::upload::Caller;

/// Where a file is to go.
pub(crate) struct Place {
    pub(crate) collection: Option<CollectionId>,
    /// The document that it is a new version of.
    pub(crate) document: Option<DocumentId>,
    /// How the two are called in the request.
    pub(crate) pointers: [&'static str; 2],
}

/// What became of a file that was announced.
pub(crate) enum Entered {
    /// Its bytes are there already, in this document.
    There(Document),
    /// Its bytes are awaited.
    Awaited {
        document: Document,
        /// Whether they were awaited before, or failed through no fault of theirs.
        duplicate: bool,
    },
}

/// Enters a file, and has it given up if its bytes do not come in time.
pub(crate) async fn enter(caller: &Caller, place: Place, incoming: Incoming) -> Result<Entered, Error> {
    let [at_collection, at_document] = place.pointers;
    match place.document {
        None => {
            let collection = place.collection.unwrap_or_else(CollectionId::default_collection);
            create(caller, collection, incoming, at_collection).await
        }
        Some(id) => {
            let no_such = || Error::field(at_document, "there is no such document");
            let found = caller.state.documents.find(&caller.principal.tenant, id).await?;
            let found = found.filter(|found| caller.principal.reads(&found.collection)).ok_or_else(no_such)?;
            if place.collection.is_some_and(|collection| collection != found.collection) {
                return Err(Error::field(at_collection, "is not the collection of the document"));
            }
            replace(caller, &found, incoming).await?.ok_or_else(no_such)
        }
    }
}

async fn create(
    caller: &Caller,
    collection: CollectionId,
    incoming: Incoming,
    pointer: &'static str,
) -> Result<Entered, Error> {
    let (state, principal) = (&caller.state, &caller.principal);
    let no_such_collection = || Error::field(pointer, "there is no such collection");
    if !principal.reads(&collection) {
        return Err(no_such_collection());
    }
    principal.require_in(Permission::Write, &collection)?;
    admit(caller, true, incoming.size_bytes).await?;
    let now = OffsetDateTime::now_utc();
    let expires_at = incoming.expires_at;
    let document = Document {
        id: DocumentId::new(),
        collection,
        filename: incoming.filename,
        content_type: incoming.content_type,
        size_bytes: incoming.size_bytes,
        sha256: incoming.sha256,
        version: 1,
        served_version: None,
        status: Status::AwaitingUpload,
        stages: Vec::new(),
        error: None,
        chunk_count: 0,
        language: None,
        metadata: incoming.metadata.unwrap_or_default(),
        created_at: now,
        updated_at: now,
        created_by: principal.user.clone(),
        trace: Traceparent::current(),
    };
    look_for_bytes(caller, &document, expires_at, now).await?;
    match state.documents.create(&principal.tenant, &document, expires_at).await? {
        Created::New => {
            // Whoever deletes a collection sees all documents entered before, and this sees if it was deleted before.
            if !state.collections.exists(&principal.tenant, &document.collection).await? {
                state.documents.delete(&principal.tenant, &document.collection, document.id, now).await?;
                return Err(no_such_collection());
            }
            Ok(Entered::Awaited { document, duplicate: false })
        }
        Created::Duplicate(id) => {
            let existing = state.documents.find(&principal.tenant, id).await?;
            let existing = existing.ok_or_else(|| Error::unavailable("the same bytes were deleted meanwhile"))?;
            again(caller, existing, &document, expires_at).await
        }
    }
}

/// `None` if the document is gone meanwhile.
async fn replace(caller: &Caller, found: &Document, incoming: Incoming) -> Result<Option<Entered>, Error> {
    let (state, principal) = (&caller.state, &caller.principal);
    principal.require_in(Permission::Write, &found.collection)?;
    admit(caller, false, incoming.size_bytes).await?;
    let (tenant, now) = (&principal.tenant, OffsetDateTime::now_utc());
    let next = Document { version: found.version + 1, ..found.clone() };
    look_for_bytes(caller, &next, incoming.expires_at, now).await?;
    match state.documents.replace(tenant, &found.collection, found.id, &incoming, now).await? {
        Replaced::New(document) => {
            if document.version != next.version {
                look_for_bytes(caller, &document, incoming.expires_at, now).await?;
            }
            Ok(Some(Entered::Awaited { document: *document, duplicate: false }))
        }
        Replaced::Same(document) => {
            let same = Document { sha256: incoming.sha256, ..found.clone() };
            Ok(Some(again(caller, *document, &same, incoming.expires_at).await?))
        }
        Replaced::Elsewhere(_) => Err(Error::Conflict("Another document of the collection has the same bytes.")),
        Replaced::Gone => Ok(None),
    }
}

/// The same bytes once more: they are there, or are awaited anew if that may end better.
async fn again(
    caller: &Caller,
    existing: Document,
    wanted: &Document,
    expires_at: OffsetDateTime,
) -> Result<Entered, Error> {
    // They may also be those of the version before the newest, which is served until that is ready.
    if existing.sha256 != wanted.sha256 || !deserves_another_try(&existing) {
        return Ok(Entered::There(existing));
    }
    let (tenant, now) = (&caller.principal.tenant, OffsetDateTime::now_utc());
    look_for_bytes(caller, &existing, expires_at, now).await?;
    match caller.state.documents.await_again(tenant, &existing, expires_at, now).await? {
        Some(document) => Ok(Entered::Awaited { document, duplicate: true }),
        None => Ok(Entered::There(existing)),
    }
}

/// Whether the same bytes again may end better: they never arrived, or it was not their fault.
fn deserves_another_try(document: &Document) -> bool {
    document.status == Status::AwaitingUpload || document.error.as_ref().is_some_and(|error| error.code.may_pass())
}

async fn admit(caller: &Caller, is_new: bool, bytes: u64) -> Result<(), Error> {
    let stock = caller.state.usage.stock(&caller.principal.tenant).await?;
    caller.tenant.limits.quotas().admit(&stock, is_new, bytes)
}

/// Has a worker look later whether the bytes came, and give the document up if they did not. Before the document is entered, so
/// that none waits for ever; it does no harm to one that never is.
pub(crate) async fn look_for_bytes(
    caller: &Caller,
    document: &Document,
    expires_at: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let awaited = Awaited {
        tenant: caller.principal.tenant.clone(),
        document: document.id,
        version: document.version,
        expires_at: expires_at.unix_timestamp(),
    };
    caller.state.queue.send(awaited.message(now.unix_timestamp())?).await
}
