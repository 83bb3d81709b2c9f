//! Arguments as a model writes them: JSON that may be anything.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::PartialSchema;

use super::Failure;

/// Reads arguments; what does not fit is said in words that a model can act on.
pub(super) fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Failure> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Object<T: DeserializeOwned>(#[serde(deserialize_with = "shared::http::object", bound = "")] T);

    // A call without arguments is written in several ways.
    let json = if json.trim().is_empty() || json.trim() == "null" { "{}" } else { json };
    let mut parser = serde_json::Deserializer::from_str(json);
    let wrong = |place: &str, error: &serde_json::Error| {
        let error = error.to_string();
        let error = error.split(" at line ").next().unwrap_or_default();
        Failure::Wrong(format!("The arguments are wrong{place}: {error}."))
    };
    let Object(arguments) = serde_path_to_error::deserialize(&mut parser).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { String::new() } else { format!(" at {path}") };
        wrong(&place, error.inner())
    })?;
    parser.end().map_err(|error| wrong("", &error))?;
    Ok(arguments)
}

/// The JSON schema of arguments, in the simple form that all providers read: each property with one type, and without
/// alternatives. What may be left out may be `null` as well, which need not be said.
pub(super) fn schema<T: PartialSchema>() -> Value {
    let mut schema = serde_json::to_value(T::schema()).unwrap_or_default();
    let properties = schema["properties"].as_object_mut().into_iter().flatten();
    for property in properties.filter_map(|(_, property)| property.as_object_mut()) {
        if let Some(Value::Array(kinds)) = property.remove("oneOf") {
            let kind = kinds.into_iter().find(|kind| kind["type"] != "null");
            for (name, value) in kind.as_ref().and_then(Value::as_object).into_iter().flatten() {
                property.entry(name).or_insert_with(|| value.clone());
            }
        }
        if let Some(Value::Array(kinds)) = property.get_mut("type") {
            kinds.retain(|kind| kind != "null");
            let kind = kinds.pop().unwrap_or_default();
            property.insert("type".to_owned(), kind);
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::super::list_documents::ListDocuments;
    use super::super::read_document::ReadDocument;
    use super::super::search::Search;
    use super::super::{Failure, TOOLS};
    use super::*;

    fn read(tool: &str, arguments: &Value) -> Result<(), String> {
        let json = arguments.to_string();
        let read = match tool {
            "search" => parse::<Search>(&json).map(|_| ()),
            "read_document" => parse::<ReadDocument>(&json).map(|_| ()),
            "list_documents" => parse::<ListDocuments>(&json).map(|_| ()),
            other => panic!("{other} is not tried"),
        };
        read.map_err(|failure| match failure {
            Failure::Wrong(text) => text,
            Failure::Away(error) => panic!("{error}"),
        })
    }

    /// Something that is allowed by a schema, and something that is not.
    fn samples(schema: &Value) -> (Value, Value) {
        let pattern = schema["pattern"].as_str();
        match schema["type"].as_str().unwrap_or_else(|| panic!("one type: {schema}")) {
            "string" if pattern.is_some_and(|pattern| pattern.starts_with("^[0-7]")) => {
                (json!("01J9ZQ3W6V8Y0ABCDEFGHJKMNP"), json!("duck"))
            }
            "string" if pattern.is_some() => (json!("manuals"), json!("Not an id")),
            "string" => (json!("ducks"), json!(7)),
            "integer" => (json!(7), json!(-7)),
            "array" => {
                let (good, bad) = samples(&schema["items"]);
                (json!([good]), json!([bad]))
            }
            "object" => (json!({ "type": "eq", "key": "year", "value": 2025 }), json!("year")),
            other => panic!("{other} in {schema}"),
        }
    }

    #[test]
    fn what_models_are_told_of_arguments_is_what_is_read() {
        for tool in &TOOLS {
            let schema = (tool.parameters)();
            assert_eq!(
                (&schema["type"], &schema["additionalProperties"]),
                (&json!("object"), &json!(false)),
                "{schema}"
            );
            for word in ["$ref", "oneOf", "null"] {
                assert!(!schema.to_string().contains(word), "{word} is not for all providers: {schema}");
            }
            let properties = schema["properties"].as_object().unwrap();
            let required: BTreeSet<&str> =
                schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect();
            let whole: Value = properties
                .iter()
                .map(|(name, schema)| (name.clone(), samples(schema).0))
                .collect::<serde_json::Map<_, _>>()
                .into();
            read(tool.name, &whole).unwrap();
            for (name, property) in properties {
                assert!(property["description"].as_str().is_some_and(|text| text.len() > 10), "{name}: {schema}");
                let mut without = whole.clone();
                without.as_object_mut().unwrap().remove(name);
                assert_eq!(
                    read(tool.name, &without).is_err(),
                    required.contains(name.as_str()),
                    "{} without {name}",
                    tool.name
                );
                let mut wrong = whole.clone();
                wrong[name] = samples(property).1;
                let error = read(tool.name, &wrong).unwrap_err();
                assert!(error.contains(name.as_str()), "{error}");
            }
            let mut more = whole.clone();
            more["tenant"] = json!("other");
            assert!(read(tool.name, &more).unwrap_err().contains("tenant"));
        }
    }

    #[test]
    fn what_is_no_object_is_said_to_be_wrong() {
        for json in ["[]", "7", "\"ducks\"", "{", "{} {}", "{\"query\": \"a\"", "ducks"] {
            let Err(Failure::Wrong(text)) = parse::<Search>(json) else { panic!("{json}") };
            assert!(text.starts_with("The arguments are wrong") && !text.contains("line"), "{text}");
        }
        for json in ["", "null", " {} "] {
            parse::<ListDocuments>(json).unwrap();
        }
    }
}
