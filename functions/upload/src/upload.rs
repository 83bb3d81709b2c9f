use axum::Extension;
use axum::extract::{FromRequest, Request, State as Extract};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use sha2::{Digest, Sha256};
use shared::clients::{Announced, BlobKey, UploadRequest};
use shared::documents::{Document, Incoming};
use shared::door::{Changed, Scope, TenantRecord};
use shared::error::Error;
use shared::http::Json;
use shared::openapi::IdempotencyHeader;
use shared::tenancy::Principal;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::State;
use crate::announcement::Announcement;
use crate::entry::{Entered, Place, enter, look_for_bytes};
use crate::form::{Described, Form};

/// A document that was accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = Uploaded)]
pub(crate) struct Answer {
    document: Document,
    /// Whether the bytes were in the collection already.
    duplicate: bool,
    /// How to upload the bytes of an announced file; none if they are there, or came with the request.
    #[schema(required)]
    upload: Option<UploadRequest>,
}

type Response = (StatusCode, Extension<Changed>, Json<Answer>);

/// Enters the document, then stores its bytes or says where to put them; the storage's notification wakes the worker. If this
/// dies in between, the document waits for its bytes, and the same upload again brings them.
#[utoipa::path(
    post, path = "/documents/upload", tag = "documents", operation_id = "uploadDocument",
    summary = "Upload a document",
    description = "As a form, with the file, up to 4.5 MB. Or as JSON, which announces a file of up to 100 MB: the answer says \
        how to put it into the storage.",
    params(IdempotencyHeader),
    request_body(content((Described = "multipart/form-data"), (Announcement = "application/json"))),
    responses(
        (status = 202, description = "The file is accepted.", body = Answer),
        (status = 201, description = "The file is awaited.", body = Answer),
        (status = 200, description = "The same bytes are in the collection already.", body = Answer),
        (status = 409),
    ),
    extensions(("x-lowest-role" = json!("editor"))),
)]
pub(crate) async fn upload(
    Extract(state): Extract<State>,
    Extension(tenant): Extension<TenantRecord>,
    principal: Principal,
    request: Request,
) -> Result<Response, Error> {
    let caller = Caller { state, tenant, principal };
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.to_ascii_lowercase().starts_with("application/json") {
        let Json(announcement) = Json::<Announcement>::from_request(request, &()).await?;
        announcement.check()?;
        announce(&caller, announcement).await
    } else {
        let form = Form::from_request(request, &()).await?;
        store(&caller, form).await
    }
}

/// Who uploads, and with what.
pub(crate) struct Caller {
    pub(crate) state: State,
    pub(crate) tenant: TenantRecord,
    pub(crate) principal: Principal,
}

impl Caller {
    fn key(&self, document: &Document) -> BlobKey {
        BlobKey { tenant: self.principal.tenant.clone(), document: document.id, version: document.version }
    }
}

/// A file that came with the request.
async fn store(caller: &Caller, form: Form) -> Result<Response, Error> {
    let state = &caller.state;
    let incoming = Incoming {
        filename: form.filename,
        content_type: form.content_type,
        size_bytes: form.bytes.len() as u64,
        sha256: Some(hex::encode(Sha256::digest(&form.bytes))),
        metadata: form.metadata,
        expires_at: OffsetDateTime::now_utc() + state.upload_urls.life(),
    };
    let place =
        Place { collection: form.collection, document: form.document_id, pointers: ["collection", "document_id"] };
    match enter(caller, place, incoming).await? {
        Entered::There(document) => Ok(answer(StatusCode::OK, document, true, None)),
        Entered::Awaited { document, duplicate } => {
            state.blobs.put(&caller.key(&document), form.bytes).await?;
            let document = queued(caller, &document).await?;
            let status = if duplicate { StatusCode::OK } else { StatusCode::ACCEPTED };
            Ok(answer(status, document, duplicate, None))
        }
    }
}

/// A file that is to come another way.
async fn announce(caller: &Caller, announcement: Announcement) -> Result<Response, Error> {
    let state = &caller.state;
    let now = OffsetDateTime::now_utc();
    let announced = Announced { size_bytes: announcement.size_bytes, sha256: announcement.sha256.clone() };
    let incoming = Incoming {
        filename: announcement.filename,
        content_type: announcement.content_type,
        size_bytes: announcement.size_bytes,
        sha256: announcement.sha256,
        metadata: announcement.metadata,
        expires_at: now + state.upload_urls.life(),
    };
    let pointers = ["/collection", "/document_id"];
    let place = Place { collection: announcement.collection, document: announcement.document_id, pointers };
    match enter(caller, place, incoming).await? {
        Entered::There(document) => Ok(answer(StatusCode::OK, document, true, None)),
        Entered::Awaited { document, duplicate } => {
            let key = caller.key(&document);
            if duplicate && state.blobs.exists(&key).await? {
                // Somebody put them there and counts on it. Nobody will announce them again.
                look_for_bytes(caller, &document, now, now).await?;
                return Ok(answer(StatusCode::OK, queued(caller, &document).await?, true, None));
            }
            let request = state.upload_urls.request(&key, &announced, now).await?;
            Ok(answer(StatusCode::CREATED, document, duplicate, Some(request)))
        }
    }
}

/// The document, which waits for a worker unless one was faster.
async fn queued(caller: &Caller, document: &Document) -> Result<Document, Error> {
    let (documents, tenant) = (&caller.state.documents, &caller.principal.tenant);
    match documents.queued(tenant, document.id, document.version, OffsetDateTime::now_utc()).await? {
        Some(document) => Ok(document),
        None => documents.get(tenant, document.id).await,
    }
}

fn answer(status: StatusCode, document: Document, duplicate: bool, upload: Option<UploadRequest>) -> Response {
    let changed = Extension(Changed(Scope::Document(document.id)));
    (status, changed, Json(Answer { document, duplicate, upload }))
}
