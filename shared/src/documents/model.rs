use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::MetadataShape;
use crate::language::Language;
use crate::telemetry::Traceparent;
use crate::tenancy::{CollectionId, DocumentId, UserId};

/// What a client keeps beside a document.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// A document, as it is stored and as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Document {
    /// Sorts by the time of the upload.
    pub id: DocumentId,
    /// The collection it belongs to.
    pub collection: CollectionId,
    /// The name it was uploaded under.
    pub filename: String,
    /// The type the client gave; the content decides how it is read.
    pub content_type: String,
    /// The size of the original.
    pub size_bytes: u64,
    /// The SHA-256 of the original, in hexadecimal; none while its bytes are awaited and nobody said it.
    #[schema(required)]
    pub sha256: Option<String>,
    /// Counts the uploads of the document, from 1.
    pub version: u32,
    /// The version that searches use; none until the first is ready.
    #[schema(required)]
    pub served_version: Option<u32>,
    /// How far it is.
    pub status: Status,
    /// The work done so far.
    pub stages: Vec<Stage>,
    /// Why it failed, if it did.
    #[schema(required)]
    pub error: Option<Failure>,
    /// The passages of the served version.
    pub chunk_count: u32,
    /// The language that most of the served version is in, by its code after BCP 47; none if it cannot be told.
    #[schema(value_type = Option<String>, required)]
    pub language: Option<Language>,
    /// What the client keeps beside it.
    #[schema(value_type = MetadataShape)]
    pub metadata: Metadata,
    /// When it was first uploaded.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When anything of it last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// Who uploaded it.
    pub created_by: UserId,
    /// The request that brought its newest bytes: what workers do with them is a part of its trace. Nobody is shown it.
    #[serde(default, rename = "traceparent", skip_serializing, deserialize_with = "trace")]
    #[schema(ignore)]
    pub trace: Option<Traceparent>,
}

/// A document is read whatever its trace is.
fn trace<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Traceparent>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|text| text.parse().ok()))
}

/// How far a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DocumentStatus)]
pub enum Status {
    /// Its bytes have not arrived.
    AwaitingUpload,
    /// Its bytes wait for a worker.
    Queued,
    /// A worker reads its text.
    Extracting,
    /// A worker computes its vectors and writes its passages.
    Embedding,
    /// A worker makes its passages visible.
    Indexing,
    /// It can be found.
    Ready,
    /// It cannot be used; [`Document::error`] says why.
    Failed,
}

impl Status {
    /// The word for it in JSON and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingUpload => "awaiting_upload",
            Self::Queued => "queued",
            Self::Extracting => "extracting",
            Self::Embedding => "embedding",
            Self::Indexing => "indexing",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// A piece of the work on a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stage {
    /// Which piece.
    pub name: StageName,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When it ended; none while it runs.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    pub ended_at: Option<OffsetDateTime>,
}

/// The pieces of the work on a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StageName {
    /// Bytes to text and passages.
    Extracting,
    /// Passages to vectors, and both to the index.
    Embedding,
    /// From passages that nobody sees to a document that is found.
    Indexing,
}

impl StageName {
    /// The status of a document while this runs.
    pub fn status(self) -> Status {
        match self {
            Self::Extracting => Status::Extracting,
            Self::Embedding => Status::Embedding,
            Self::Indexing => Status::Indexing,
        }
    }
}

/// Why a document cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// For programs.
    pub code: ErrorCode,
    /// A sentence for the person who uploaded it.
    pub detail: String,
}

impl ErrorCode {
    /// The word for it in JSON and in traces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnsupportedType => "unsupported_type",
            Self::Encrypted => "encrypted",
            Self::Corrupt => "corrupt",
            Self::NoText => "no_text",
            Self::TooLarge => "too_large",
            Self::Duplicate => "duplicate",
            Self::UploadExpired => "upload_expired",
            Self::EmbeddingFailed => "embedding_failed",
            Self::Internal => "internal",
        }
    }

    /// Whether the same bytes may end better another time: it was not their fault, or they were not there.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::UploadExpired | Self::EmbeddingFailed | Self::Internal)
    }
}

/// The kinds of [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// No reader for this kind of file.
    UnsupportedType,
    /// A password is needed.
    Encrypted,
    /// The file is damaged.
    Corrupt,
    /// There is nothing to read in it.
    NoText,
    /// More than a document may have, or than a worker may take for it.
    TooLarge,
    /// The collection has another document with the same bytes.
    Duplicate,
    /// The bytes did not arrive in time.
    UploadExpired,
    /// The embedder refused it or stayed away.
    EmbeddingFailed,
    /// A fault of ours.
    Internal,
}
