use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::Error;

/// The largest JSON body that is read, in bytes.
pub const MAX_JSON: usize = 256 * 1024;
/// The largest JSON body that brings a conversation along, in bytes.
pub const MAX_LONG_JSON: usize = 2 * 1024 * 1024;

/// A JSON body, in or out. On the way in, what does not fit is refused by the name of the field.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        read(request, state, MAX_JSON).await.map(Self)
    }
}

/// A JSON body that may be as long as a conversation, in only. It is read as [`Json`] is.
#[derive(Debug, Clone, Copy, Default)]
pub struct LongJson<T>(pub T);

impl<T, S> FromRequest<S> for LongJson<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        read(request, state, MAX_LONG_JSON).await.map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer).map(Self)
    }
}

/// Reads an object. By itself a struct takes its fields from an array as well, in their order.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Members<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(members))
        }
    }

    deserializer.deserialize_map(Members(PhantomData))
}

/// The parameters after the `?`; what does not fit is refused by name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        // The library's extractor does not say which parameter was wrong, so the pairs become a JSON object of strings,
        // which the types here parse themselves.
        let query = parts.uri.query().unwrap_or_default();
        let mut object = serde_json::Map::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if object.insert(name.clone().into_owned(), value.into_owned().into()).is_some() {
                return Err(Error::field(name, "is given twice"));
            }
        }
        serde_path_to_error::deserialize(serde_json::Value::Object(object))
            .map(Self)
            .map_err(|error| Error::field(error.path().to_string(), readable(error.inner())))
    }
}

/// An identifier in the path. One that is malformed names nothing that could exist, so it is not found.
#[derive(Debug, Clone, Copy)]
pub struct PathId<T>(pub T);

impl<T, S> FromRequestParts<S> for PathId<T>
where
    T: FromStr,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Error::NotFound)?;
        text.parse().map(Self).map_err(|_| Error::NotFound)
    }
}

async fn read<T: DeserializeOwned, S: Send + Sync>(request: Request, state: &S, most: usize) -> Result<T, Error> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Error::UnsupportedMediaType { expected: "application/json" });
    }
    let body = Bytes::from_request(request, state).await.map_err(|_| Error::body_too_large(most))?;
    if body.len() > most {
        return Err(Error::body_too_large(most));
    }
    let mut parser = serde_json::Deserializer::from_slice(&body);
    let Object(value) = serde_path_to_error::deserialize(&mut parser)
        .map_err(|error| Error::field(pointer(error.path()), readable(error.inner())))?;
    parser.end().map_err(|error| Error::field("/", readable(&error)))?;
    Ok(value)
}

/// A path such as `collections[1].name` as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
            Segment::Map { key } | Segment::Enum { variant: key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Unknown => {}
        }
    }
    if pointer.is_empty() { "/".to_owned() } else { pointer }
}

/// The parser's sentence without its line and column, which mean nothing to who sent an object.
fn readable(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if error.is_syntax() || error.is_eof() {
        return format!("the body is not valid JSON: {text}");
    }
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}
