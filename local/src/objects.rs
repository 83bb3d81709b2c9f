use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderName;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use shared::clients::{BlobKey, Blobs, ContentUrls, SignedQuery};
use shared::error::Error;
use shared::http::Query;
use shared::tenancy::{DocumentId, TenantId};
use time::OffsetDateTime;

/// Where the originals are, below the address of the server.
pub(crate) const PATH: &str = "objects";

/// `GET /objects/{tenant}/{document}/{version}`: an original at its signed address, as S3 serves one. Nobody shows a token
/// here; the signature is what lets in.
pub(crate) fn router(blobs: Blobs, content_urls: ContentUrls) -> Router {
    let route = format!("/{PATH}/{{tenant}}/{{document}}/{{version}}");
    Router::new().route(&route, get(read)).with_state((blobs, content_urls))
}

type Place = (TenantId, DocumentId, u32);

async fn read(
    State((blobs, content_urls)): State<(Blobs, ContentUrls)>,
    place: Result<Path<Place>, PathRejection>,
    query: Result<Query<SignedQuery>, Error>,
) -> Result<Response, Error> {
    // What is malformed was not signed here either.
    let (Ok(Path((tenant, document, version))), Ok(Query(query))) = (place, query) else {
        return Err(Error::BadSignature);
    };
    let key = BlobKey { tenant, document, version };
    let delivery = content_urls.admit(&key, query, OffsetDateTime::now_utc())?;
    let bytes = blobs.get(&key).await?.ok_or(Error::NotFound)?;
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
