use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use bytes::Bytes;
use http::StatusCode;
use shared::documents::{Metadata, MetadataShape, filename, metadata};
use shared::error::Error;
use shared::tenancy::{CollectionId, DocumentId};
use utoipa::ToSchema;

use crate::{MAX_BODY, MAX_FILE};

/// The fields of an upload, checked.
pub(crate) struct Form {
    pub(crate) filename: String,
    pub(crate) content_type: String,
    pub(crate) bytes: Bytes,
    pub(crate) collection: Option<CollectionId>,
    pub(crate) metadata: Option<Metadata>,
    pub(crate) document_id: Option<DocumentId>,
}

/// The fields of an upload, as they are described.
#[derive(ToSchema)]
#[schema(as = Upload)]
#[expect(dead_code, reason = "a form is read field by field")]
pub(crate) struct Described {
    /// The document; its name comes with it.
    #[schema(value_type = String, format = Binary, min_length = 1)]
    file: Bytes,
    /// Where it goes; `default`, or where the document is that it replaces.
    #[schema(nullable = false)]
    collection: Option<CollectionId>,
    #[schema(value_type = Option<MetadataShape>, nullable = false)]
    metadata: Option<Metadata>,
    /// The document that it is a new version of.
    #[schema(nullable = false)]
    document_id: Option<DocumentId>,
}

struct File {
    filename: String,
    content_type: String,
    bytes: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        const EXPECTED: Error = Error::UnsupportedMediaType { expected: "multipart/form-data or application/json" };
        let mut fields = Multipart::from_request(request, state).await.map_err(|_| EXPECTED)?;
        let (mut upload, mut collection, mut entries, mut document_id) = (None, None, None, None);
        while let Some(field) = fields.next_field().await.map_err(|error| unreadable(&error))? {
            let name = field.name().unwrap_or_default().to_owned();
            match name.as_str() {
                "file" => upload = Some(file(field).await?),
                "collection" => {
                    let text = text(field).await?;
                    collection = Some(text.parse().map_err(|rule| Error::field("collection", format!("{rule}")))?);
                }
                "metadata" => {
                    let given = serde_json::from_str(&text(field).await?)
                        .map_err(|error| Error::field("metadata", format!("must be a JSON object: {error}")))?;
                    metadata::check(&given, "metadata").map_err(Error::Invalid)?;
                    entries = Some(given);
                }
                "document_id" => {
                    let text = text(field).await?;
                    document_id = Some(text.parse().map_err(|rule| Error::field("document_id", format!("{rule}")))?);
                }
                other => return Err(Error::field(other, "is not a field of this form")),
            }
        }
        let upload = upload.ok_or_else(|| Error::field("file", "is missing"))?;
        Ok(Self {
            filename: upload.filename,
            content_type: upload.content_type,
            bytes: upload.bytes,
            collection,
            metadata: entries,
            document_id,
        })
    }
}

async fn file(field: Field<'_>) -> Result<File, Error> {
    let name = field.file_name().unwrap_or_default().to_owned();
    // Some clients send the whole path.
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    filename::check(&name).map_err(|detail| Error::field("file", format!("its name {detail}")))?;
    let content_type = field.content_type().unwrap_or("application/octet-stream").to_owned();
    let bytes = field.bytes().await.map_err(|error| unreadable(&error))?;
    if bytes.is_empty() {
        return Err(Error::field("file", "is empty"));
    }
    Ok(File { filename: name, content_type, bytes })
}

async fn text(field: Field<'_>) -> Result<String, Error> {
    field.text().await.map_err(|error| unreadable(&error))
}

fn unreadable(error: &MultipartError) -> Error {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let most =
            format!("A form may have {MAX_BODY} bytes; announce a file of up to {MAX_FILE} as JSON, and put it where");
        return Error::TooLarge(format!("{most} the answer says."));
    }
    Error::field("/", "the body is not a well-formed form of the type multipart/form-data")
}
