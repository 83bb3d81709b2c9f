//! What a client keeps beside a document.

use std::borrow::Cow;

use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::Metadata;

/// The most entries.
const MAX_ENTRIES: usize = 16;
/// The longest key, in characters.
const MAX_KEY: usize = 64;
/// The longest text, in characters.
const MAX_TEXT: usize = 512;

/// The largest number, and the smallest above zero: what the database can hold, give or take.
const LARGEST: f64 = 1e125;
const SMALLEST: f64 = 1e-125;

/// Checks the entries; the error is a sentence for the caller.
pub fn check(metadata: &Metadata) -> Result<(), String> {
    if metadata.len() > MAX_ENTRIES {
        return Err(format!("must have at most {MAX_ENTRIES} entries"));
    }
    for (key, value) in metadata {
        if key.is_empty() || key.chars().count() > MAX_KEY {
            return Err(format!("each key must have 1 to {MAX_KEY} characters"));
        }
        let fits = match value {
            Value::Bool(_) => true,
            Value::Number(number) => number.as_f64().is_some_and(is_storable),
            Value::String(text) => text.chars().count() <= MAX_TEXT,
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        };
        if !fits {
            return Err(format!(
                "{key:?} must be a boolean, a number of usual size or a text of at most {MAX_TEXT} characters"
            ));
        }
    }
    Ok(())
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
        let value = AnyOfBuilder::new()
            .item(of(Type::Boolean))
            .item(of(Type::Number).minimum(Some(0.0)).maximum(Some(0.0)))
            .item(of(Type::Number).minimum(Some(SMALLEST)).maximum(Some(LARGEST)))
            .item(of(Type::Number).minimum(Some(-LARGEST)).maximum(Some(-SMALLEST)))
            .item(of(Type::String).max_length(Some(MAX_TEXT)));
        let key = of(Type::String).min_length(Some(1)).max_length(Some(MAX_KEY)).build();
        of(Type::Object)
            .description(Some("What the client keeps beside a document."))
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

    #[test]
    fn entries_are_few_small_and_flat() {
        let check = |value: Value| check(value.as_object().unwrap());
        assert!(check(json!({"year": 2026, "final": true, "author": "Ada"})).is_ok());
        assert!(check(json!({"none": 0, "much": -1e125, "little": 1e-125})).is_ok());
        for wrong in [
            json!({"": 1}),
            json!({"a": null}),
            json!({"a": {"b": 1}}),
            json!({"a": "x".repeat(513)}),
            json!({"a": 1e126}),
            json!({"a": -1e-126}),
        ] {
            assert!(check(wrong.clone()).is_err(), "{wrong}");
        }
        let many = (0..17).map(|n| (n.to_string(), json!(n))).collect::<serde_json::Map<_, _>>();
        assert!(super::check(&many).is_err());
    }
}
