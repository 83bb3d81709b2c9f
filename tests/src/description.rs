//! The description of the API, as the code says it and as it is written down.

use std::path::Path;

use serde_json::Value;

use crate::data;

/// Where it is written down.
const FILE: &str = "docs/openapi.json";

/// An operation of the description.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operation {
    /// The path, with `{id}` in it.
    pub path: String,
    /// In capitals.
    pub method: String,
    /// The lowest role that it lets in, or `anyone`.
    pub lowest_role: String,
}

/// The description that the code makes, as it is written down.
pub fn made() -> String {
    let functions = [
        chat::openapi(),
        documents::openapi(),
        health::openapi(),
        search::openapi(),
        upload::openapi(),
        users::openapi(),
    ];
    let whole = shared::openapi::whole(functions).unwrap();
    serde_json::to_string_pretty(&whole).unwrap() + "\n"
}

/// The description that is written down.
pub fn written() -> String {
    data::project_file(FILE)
}

/// Writes down what the code makes.
pub fn write() {
    std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(FILE), made()).unwrap();
}

/// What is written down of each operation, in order.
pub fn operations() -> Vec<Operation> {
    let description: Value = serde_json::from_str(&written()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let lowest_role = operation[shared::openapi::LOWEST_ROLE].as_str().unwrap_or_default().to_owned();
            operations.push(Operation { path: path.clone(), method: method.to_uppercase(), lowest_role });
        }
    }
    operations.sort();
    operations
}
