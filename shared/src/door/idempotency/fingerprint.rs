use std::borrow::Cow;

use http::header::CONTENT_TYPE;
use http::request::Parts;
use memchr::memmem;

/// What a request asks for, in parts: two requests are the same if all of these are.
///
/// A form is the same whatever boundary is between its fields: clients make a new one each time they write it.
pub(super) fn fingerprint<'a>(request: &'a Parts, body: &'a [u8]) -> Vec<Cow<'a, [u8]>> {
    let kind = request.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let query = request.uri.query().unwrap_or_default();
    let mut parts = vec![Cow::Owned(essence.clone().into_bytes()), Cow::Borrowed(query.as_bytes())];
    match boundary(kind).filter(|_| essence.starts_with("multipart/")) {
        Some(boundary) => parts.extend(fields(body, &boundary).into_iter().map(Cow::Borrowed)),
        None => parts.push(Cow::Borrowed(body)),
    }
    parts
}

/// The boundary that a content type names (RFC 2046, section 5.1.1).
fn boundary(kind: &str) -> Option<String> {
    let parameters = kind.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let (_, value) = parameters.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?;
    let value = value.trim().trim_matches('"');
    (!value.is_empty()).then(|| format!("--{value}"))
}

/// What stands between the boundaries, which no field may hold.
fn fields<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let (mut fields, mut start) = (Vec::new(), 0);
    for end in memmem::find_iter(body, boundary) {
        fields.push(&body[start..end]);
        start = end + boundary.len();
    }
    fields.push(&body[start..]);
    fields
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(uri: &str, kind: &str, body: &str) -> Vec<Vec<u8>> {
        let (request, ()) = Request::post(uri).header(CONTENT_TYPE, kind).body(()).unwrap().into_parts();
        fingerprint(&request, body.as_bytes()).into_iter().map(Cow::into_owned).collect()
    }

    fn form(boundary: &str, content: &str) -> Vec<Vec<u8>> {
        let body = format!("--{boundary}\r\nhead\r\n\r\n{content}\r\n--{boundary}--\r\n");
        parts("/upload", &format!("multipart/form-data; boundary={boundary}"), &body)
    }

    #[test]
    fn a_form_is_the_same_with_another_boundary_and_not_with_another_content() {
        assert_eq!(form("abc", "text"), form("x-y-z", "text"));
        assert_ne!(form("abc", "text"), form("abc", "texts"));
        assert_ne!(form("abc", "a\r\n--abc\r\nb"), form("xyz", "a\r\n--abc\r\nb"), "one field is not two");
        let quoted = parts("/upload", "multipart/form-data; charset=x; Boundary=\"abc\"", "--abc\r\nx\r\n--abc--");
        assert_eq!(quoted, parts("/upload", "Multipart/Form-Data; boundary=abc", "--abc\r\nx\r\n--abc--"));
    }

    #[test]
    fn another_query_kind_or_body_is_another_request() {
        let json = parts("/keys", "application/json", "{}");
        assert_eq!(json, parts("/keys", "application/json; charset=utf-8", "{}"));
        assert_ne!(json, parts("/keys?x=1", "application/json", "{}"));
        assert_ne!(json, parts("/keys", "text/plain", "{}"));
        assert_ne!(json, parts("/keys", "application/json", "{ }"));
        assert_eq!(parts("/keys", "multipart/form-data", "x").len(), 3, "a form without a boundary is just bytes");
    }
}
