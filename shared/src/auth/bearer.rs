use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::error::Error;

/// The bearer credential (RFC 6750) among the headers.
pub(super) fn credential(headers: &HeaderMap) -> Result<&str, Error> {
    let header = headers.get(AUTHORIZATION).ok_or(Error::Unauthenticated("no Authorization header"))?;
    let text = header.to_str().map_err(|_| Error::Unauthenticated("the Authorization header is not text"))?;
    let (scheme, credential) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Error::Unauthenticated("the Authorization header is not of the Bearer scheme"));
    }
    Ok(credential.trim())
}
