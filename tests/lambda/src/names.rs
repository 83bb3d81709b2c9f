//! Names as AWS makes them, new ones each time.

/// The id of a request.
pub(crate) fn request_id() -> String {
    let hex = format!("{:032x}", fastrand::u128(..));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// A header of X-Ray for a request that is not traced.
pub(crate) fn trace_id() -> String {
    let seconds = time::OffsetDateTime::now_utc().unix_timestamp();
    format!("Root=1-{seconds:08x}-{:024x}", fastrand::u128(..) >> 32)
}
