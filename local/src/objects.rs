use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, StatusCode};
use sha2::{Digest, Sha256};
use shared::clients::{Announced, BlobKey, Blobs, ContentUrls, SignedQuery, SignedUpload, UploadUrls};
use shared::error::Error;
use shared::http::Query;
use shared::tenancy::{DocumentId, TenantId};
use time::OffsetDateTime;

/// Where the originals are, below the address of the server.
pub(crate) const PATH: &str = "objects";

#[derive(Clone)]
struct Objects {
    blobs: Blobs,
    content_urls: ContentUrls,
    upload_urls: UploadUrls,
}

/// `/objects/{tenant}/{document}/{version}`: an original at its signed address, as S3 serves and takes one. Nobody shows a token
/// here; the signature is what lets in.
pub(crate) fn router(blobs: Blobs, content_urls: ContentUrls, upload_urls: UploadUrls) -> Router {
    let route = format!("/{PATH}/{{tenant}}/{{document}}/{{version}}");
    Router::new().route(&route, get(read)).route(&route, put(write)).with_state(Objects {
        blobs,
        content_urls,
        upload_urls,
    })
}

type Place = Result<Path<(TenantId, DocumentId, u32)>, PathRejection>;

/// What is malformed was not signed here.
fn key(place: Place) -> Result<BlobKey, Error> {
    let Path((tenant, document, version)) = place.map_err(|_| Error::BadSignature)?;
    Ok(BlobKey { tenant, document, version })
}

async fn read(
    State(objects): State<Objects>,
    place: Place,
    query: Result<Query<SignedQuery>, Error>,
) -> Result<Response, Error> {
    let (key, Query(query)) = (key(place)?, query.map_err(|_| Error::BadSignature)?);
    let delivery = objects.content_urls.admit(&key, query, OffsetDateTime::now_utc())?;
    let bytes = objects.blobs.get(&key).await?.ok_or(Error::NotFound)?;
    let headers: [(HeaderName, &str); 5] = [
        (CONTENT_TYPE, &delivery.content_type),
        (CONTENT_DISPOSITION, &delivery.disposition),
        // It comes from the address of the API, and must do nothing in its name, whatever is in it.
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "sandbox"),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, bytes).into_response())
}

async fn write(
    State(objects): State<Objects>,
    place: Place,
    query: Result<Query<SignedUpload>, Error>,
    body: Body,
) -> Result<StatusCode, Error> {
    let (key, Query(query)) = (key(place)?, query.map_err(|_| Error::BadSignature)?);
    let announced = objects.upload_urls.admit(&key, &query, OffsetDateTime::now_utc())?;
    if objects.blobs.exists(&key).await? {
        return Err(Error::Conflict("The bytes are there already."));
    }
    objects.blobs.receive(&key, checked(body, announced)).await?;
    Ok(StatusCode::OK)
}

/// The bytes of a body, and an error behind them, or earlier, if they are not those that were announced.
fn checked(body: Body, announced: Announced) -> impl Stream<Item = Result<Bytes, Error>> {
    async_stream::stream! {
        let wrong = || Error::field("body", "is not what was announced");
        let (mut left, mut hash, mut pieces) = (announced.size_bytes, Sha256::new(), body.into_data_stream());
        while let Some(piece) = pieces.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => {
                    yield Err(Error::unavailable(format!("an upload was cut: {error}")));
                    return;
                }
            };
            let Some(rest) = left.checked_sub(piece.len() as u64) else {
                yield Err(wrong());
                return;
            };
            left = rest;
            hash.update(&piece);
            yield Ok(piece);
        }
        let sha256 = hex::encode(hash.finalize());
        if left > 0 || announced.sha256.is_some_and(|expected| expected != sha256) {
            yield Err(wrong());
        }
    }
}
