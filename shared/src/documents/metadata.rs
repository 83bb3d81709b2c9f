//! What a client keeps beside a document.
//!
//! A value has a type, by which filters compare it ([`crate::retrieval::Filter`]): a boolean, a number, a text, a time, or a
//! list of texts. A time is a text in the form of RFC 3339 with its offset.

use std::borrow::Cow;

use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::Metadata;
use crate::error::FieldError;

/// The most entries.
const MAX_ENTRIES: usize = 16;
/// The longest key, in characters.
pub(crate) const MAX_KEY: usize = 64;
/// The longest text, in characters.
pub(crate) const MAX_TEXT: usize = 512;
/// The most texts of a list.
const MAX_LIST: usize = 16;
/// The longest text in a list, in characters: all entries together are to leave room in an item of the database.
const MAX_LIST_TEXT: usize = 128;

/// The largest number, and the smallest above zero: what the database can hold, give or take.
const LARGEST: f64 = 1e125;
const SMALLEST: f64 = 1e-125;

/// Checks the entries. Each error names the entry, by a JSON pointer that begins with `at`.
pub fn check(metadata: &Metadata, at: &str) -> Result<(), Vec<FieldError>> {
    let mut errors = Vec::new();
    if metadata.len() > MAX_ENTRIES {
        errors.push(FieldError::new(at, format!("must have at most {MAX_ENTRIES} entries")));
    }
    for (key, value) in metadata {
        let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        if key.is_empty() || key.chars().count() > MAX_KEY {
            errors.push(FieldError::new(&at, format!("a key must have 1 to {MAX_KEY} characters")));
        }
        errors.extend(check_value(value, &at));
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn check_value(value: &Value, at: &str) -> Vec<FieldError> {
    let wrong = |detail: String| vec![FieldError::new(at, detail)];
    match value {
        Value::Bool(_) => Vec::new(),
        Value::Number(number) if number.as_f64().is_some_and(is_storable) => Vec::new(),
        Value::Number(_) => {
            wrong(format!("must be 0 or a number between {SMALLEST:e} and {LARGEST:e}, or its negative"))
        }
        Value::String(text) if text.chars().count() <= MAX_TEXT => Vec::new(),
        Value::String(_) => wrong(format!("must have at most {MAX_TEXT} characters")),
        Value::Array(texts) if texts.len() > MAX_LIST => wrong(format!("must have at most {MAX_LIST} texts")),
        Value::Array(texts) => {
            let fits = |text: &Value| text.as_str().is_some_and(|text| text.chars().count() <= MAX_LIST_TEXT);
            let wrong = texts.iter().enumerate().filter(|(_, text)| !fits(text));
            let detail = || format!("must be a text of at most {MAX_LIST_TEXT} characters");
            wrong.map(|(place, _)| FieldError::new(format!("{at}/{place}"), detail())).collect()
        }
        Value::Null | Value::Object(_) => wrong("must be a boolean, a number, a text, or a list of texts".to_owned()),
    }
}

fn is_storable(number: f64) -> bool {
    number == 0.0 || (SMALLEST..=LARGEST).contains(&number.abs())
}

/// How [`Metadata`] is described to clients.
#[derive(Debug)]
pub enum MetadataShape {}

impl ToSchema for MetadataShape {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Metadata")
    }
}

impl PartialSchema for MetadataShape {
    fn schema() -> RefOr<Schema> {
        let of = |kind| ObjectBuilder::new().schema_type(kind);
        let text = |most| of(Type::String).max_length(Some(most));
        let value = AnyOfBuilder::new()
            .item(of(Type::Boolean))
            .item(of(Type::Number).minimum(Some(0.0)).maximum(Some(0.0)))
            .item(of(Type::Number).minimum(Some(SMALLEST)).maximum(Some(LARGEST)))
            .item(of(Type::Number).minimum(Some(-LARGEST)).maximum(Some(-SMALLEST)))
            .item(text(MAX_TEXT))
            .item(ArrayBuilder::new().items(text(MAX_LIST_TEXT)).max_items(Some(MAX_LIST)));
        let key = of(Type::String).min_length(Some(1)).max_length(Some(MAX_KEY)).build();
        of(Type::Object)
            .description(Some("What the client keeps beside a document. Searches can be filtered by it."))
            .max_properties(Some(MAX_ENTRIES))
            .property_names(Some(key))
            .additional_properties(Some(RefOr::T(Schema::AnyOf(value.build()))))
            .build()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(metadata: &Value) -> Vec<String> {
        let errors = check(metadata.as_object().unwrap(), "/metadata").err().unwrap_or_default();
        errors.into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn values_are_booleans_numbers_texts_and_lists_of_texts() {
        for right in [
            json!({}),
            json!({"year": 2026, "final": true, "author": "Ada", "due": "2026-11-26T12:00:00+01:00"}),
            json!({"none": 0, "much": -1e125, "little": 1e-125}),
            json!({"tags": [], "authors": ["Ada", "x".repeat(128)]}),
            json!({"x".repeat(64): "x".repeat(512)}),
        ] {
            assert!(pointers(&right).is_empty(), "{right}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        for (wrong, place) in [
            (json!({"": 1}), "/metadata/"),
            (json!({"x".repeat(65): 1}), &*format!("/metadata/{}", "x".repeat(65))),
            (json!({"a": null}), "/metadata/a"),
            (json!({"a/b~": {"b": 1}}), "/metadata/a~1b~0"),
            (json!({"a": "x".repeat(513)}), "/metadata/a"),
            (json!({"a": 1e126}), "/metadata/a"),
            (json!({"a": -1e-126}), "/metadata/a"),
            (json!({"a": vec!["x"; 17]}), "/metadata/a"),
            (json!({"a": ["x", 1]}), "/metadata/a/1"),
            (json!({"a": ["x".repeat(129)]}), "/metadata/a/0"),
        ] {
            assert_eq!(pointers(&wrong), [place], "{wrong}");
        }
        let many: Metadata = (0..17).map(|n| (n.to_string(), json!(n))).collect();
        assert_eq!(pointers(&Value::Object(many)), ["/metadata"]);
        assert_eq!(pointers(&json!({"a": null, "b": 1, "c": {}})), ["/metadata/a", "/metadata/c"], "all at once");
    }
}
