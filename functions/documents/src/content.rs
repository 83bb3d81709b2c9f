//! What is in a document: its original, and the text that was read in it.

use axum::extract::State as Extract;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderName, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use shared::clients::BlobKey;
use shared::documents::Status;
use shared::error::Error;
use shared::http::{Json, PathId, Query};
use shared::retrieval::Span;
use shared::tenancy::{DocumentId, Principal};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::documents::visible;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TextQuery {
    /// The first character, from 0.
    #[serde(default)]
    #[param(value_type = u32, minimum = 0, maximum = 4_294_967_295_u64)]
    start: Position,
    /// One behind the last; at most 100,000 characters are given at once.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 4_294_967_295_u64)]
    end: Option<Position>,
}

/// A character of a text, read from text as query parameters are.
#[derive(Clone, Copy, Default)]
struct Position(u32);

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| serde::de::Error::custom("must be a whole number from 0 to 4294967295"))
    }
}

/// A part of the text of a document.
#[derive(Serialize, ToSchema)]
#[schema(as = DocumentText)]
pub(crate) struct TextView {
    document_id: DocumentId,
    /// The version that it is the text of.
    version: u32,
    /// Where it stands in the text.
    span: Span,
    text: String,
    /// Where the text goes on; none at its end.
    #[schema(required)]
    next_start: Option<u32>,
}

#[utoipa::path(
    get, path = "/documents/{id}/text", tag = "documents", operation_id = "getText",
    summary = "A part of the text that was extracted",
    description = "What the spans of passages count in, in characters (Unicode scalar values).",
    params(("id" = DocumentId, Path), TextQuery),
    responses((status = 200, description = "The part.", body = TextView), (status = 304), (status = 409)),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn text(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<DocumentId>,
    Query(query): Query<TextQuery>,
) -> Result<Json<TextView>, Error> {
    const NONE: Error = Error::Conflict("No version of the document is ready.");
    let document = visible(&state, &principal, id).await?;
    let version = document.served_version.ok_or(NONE)?;
    let key = BlobKey { tenant: principal.tenant, document: id, version };
    let (Position(start), Position(end)) = (query.start, query.end.unwrap_or(Position(u32::MAX)));
    let part = state.texts.part(&key, start, end).await?.ok_or(NONE)?;
    let next_start = part.has_more.then_some(part.end);
    let span = Span { start: part.start, end: part.end };
    Ok(Json(TextView { document_id: id, version, span, text: part.text, next_start }))
}

/// Sends the caller to the original. The address is good for whoever has it, so it is short-lived, and nobody keeps it.
#[utoipa::path(
    get, path = "/documents/{id}/content", tag = "documents", operation_id = "getContent",
    summary = "The original of a document",
    description = "The address is good for some minutes, for whoever has it.",
    params(("id" = DocumentId, Path)),
    responses(
        (status = 302, description = "Where it can be fetched.", headers(("Location" = String), ("Cache-Control" = String))),
        (status = 409),
    ),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn content(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<DocumentId>,
) -> Result<(StatusCode, [(HeaderName, String); 2]), Error> {
    let document = visible(&state, &principal, id).await?;
    // The newest bytes that arrived. There is a document, so before any arrive it is its state that is in the way.
    let version = match document.status {
        Status::AwaitingUpload => document.served_version,
        _ => Some(document.version),
    };
    let version = version.ok_or(Error::Conflict("The bytes of the document have not arrived."))?;
    let key = BlobKey { tenant: principal.tenant, document: id, version };
    let url =
        state.content_urls.url(&key, &document.filename, &document.content_type, OffsetDateTime::now_utc()).await?;
    Ok((StatusCode::FOUND, [(LOCATION, url.into()), (CACHE_CONTROL, "no-store".to_owned())]))
}
