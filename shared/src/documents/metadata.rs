//! What a client keeps beside a document.

use serde_json::Value;

use super::Metadata;

/// The most entries.
const MAX_ENTRIES: usize = 16;
/// The longest key, in characters.
const MAX_KEY: usize = 64;
/// The longest text, in characters.
const MAX_TEXT: usize = 512;

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
            Value::Bool(_) | Value::Number(_) => true,
            Value::String(text) => text.chars().count() <= MAX_TEXT,
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        };
        if !fits {
            return Err(format!("{key:?} must be a boolean, a number or a text of at most {MAX_TEXT} characters"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_few_small_and_flat() {
        let check = |value: Value| check(value.as_object().unwrap());
        assert!(check(json!({"year": 2026, "final": true, "author": "Ada"})).is_ok());
        for wrong in [json!({"": 1}), json!({"a": null}), json!({"a": {"b": 1}}), json!({"a": "x".repeat(513)})] {
            assert!(check(wrong.clone()).is_err(), "{wrong}");
        }
        let many = (0..17).map(|n| (n.to_string(), json!(n))).collect::<serde_json::Map<_, _>>();
        assert!(super::check(&many).is_err());
    }
}
