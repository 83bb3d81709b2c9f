use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The only token in the headers. Of two, whoever stands in front of us may have looked at the other.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, &'static str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (Some(only), None) => only,
        (None, _) => return Err("no Authorization header"),
        (Some(_), Some(_)) => return Err("more than one Authorization header"),
    };
    let text = value.to_str().map_err(|_| "the Authorization header is not text")?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err("the Authorization header is not of the Bearer scheme");
    }
    Ok(token.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn one_header_of_the_bearer_scheme_is_taken_and_nothing_else() {
        let read = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
            }
            bearer(&headers).map(str::to_owned)
        };
        for good in [&b"Bearer a.b.c"[..], b"bearer a.b.c", b"BEARER a.b.c", b"Bearer    a.b.c", b"Bearer a.b.c "] {
            assert_eq!(read(&[good]), Ok("a.b.c".to_owned()));
        }
        for bad in
            [&b""[..], b"Basic YTpi", b"Bearer\ta.b.c", b"Bearera.b.c", b"a.b.c", b"Bearer \xff", b" Bearer a.b.c"]
        {
            assert!(read(&[bad]).is_err(), "{bad:?}");
        }
        assert_eq!(read(&[b"Bearer"]), Ok(String::new()), "which is no token");
        assert_eq!(read(&[b"Bearer a, Bearer b"]), Ok("a, Bearer b".to_owned()), "which is none either");
        assert!(read(&[]).is_err());
        assert!(read(&[b"Bearer a.b.c", b"Bearer a.b.c"]).is_err());
        assert!(read(&[b"Bearer a.b.c", b"Basic YTpi"]).is_err());
    }
}
