//! Lists in pages.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::Error;

/// One page of a list.
#[derive(Debug, Clone, Serialize)]
pub struct Page<T> {
    /// The entries.
    pub data: Vec<T>,
    /// Where the next page begins; `null` at the end.
    pub next_cursor: Option<String>,
}

/// How many entries a page has: 1 to 100, 20 unless asked for otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u8);

impl Limit {
    /// The number.
    pub fn get(self) -> usize {
        self.0.into()
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

impl<'de> Deserialize<'de> for Limit {
    /// From text, as query parameters are.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse() {
            Ok(number @ 1..=100) => Ok(Self(number)),
            _ => Err(serde::de::Error::custom("must be a whole number from 1 to 100")),
        }
    }
}

/// The last key of a page as an opaque word. It holds a sort key only: the partition always comes from the caller's
/// token, so a cursor of another tenant points nowhere.
pub fn cursor(last_sort_key: &str) -> String {
    URL_SAFE_NO_PAD.encode(last_sort_key)
}

/// The sort key in a cursor, which must begin with `prefix`.
pub fn sort_key(cursor: &str, prefix: &str) -> Result<String, Error> {
    URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|key| key.starts_with(prefix) && key.len() <= 256)
        .ok_or_else(|| Error::field("cursor", "is not a cursor of this list"))
}
