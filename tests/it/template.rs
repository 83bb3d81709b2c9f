//! The tables of the template are the tables of the code, and so is what their stream is filtered by.

use saphyr::{LoadableYamlNode, YamlOwned};
use serde_json::{Value, json};
use shared::tables::{Key, Stored};
use shared::tenancy::{
    AuditId, CollectionId, ConversationId, DocumentId, EventId, KeyId, MessageId, RegistrationId, Subject, TenantId,
    UserId,
};
use tests::{TestApp, data};

/// The resources of the template as JSON.
pub(crate) fn resources() -> Value {
    let template = YamlOwned::load_from_str(&data::project_file("template.yaml")).unwrap();
    plain(&template[0])["Resources"].clone()
}

/// What the dashboard of the template shows.
pub(crate) fn dashboard_body() -> Value {
    let template = YamlOwned::load_from_str(&data::project_file("template.yaml")).unwrap();
    let body = &template[0]["Resources"]["Dashboard"]["Properties"]["DashboardBody"];
    let body = if let YamlOwned::Tagged(_, text) = body { text } else { body };
    serde_json::from_str(body.as_str().unwrap()).unwrap()
}

/// A node of the template as JSON, as it is with the default parameters: of the conditions here, only one holds then. What
/// else CloudFormation computes (`!Ref` and the like) is `null`.
fn plain(node: &YamlOwned) -> Value {
    if let YamlOwned::Tagged(tag, node) = node
        && tag.suffix == "If"
        && let Some([condition, then, otherwise]) = node.as_sequence().map(Vec::as_slice)
    {
        return plain(if condition.as_str() == Some("IsFirstEdition") { then } else { otherwise });
    }
    if let Some(map) = node.as_mapping() {
        let entries = map.iter().filter_map(|(name, value)| Some((name.as_str()?.to_owned(), plain(value))));
        return Value::Object(entries.collect());
    }
    if let Some(list) = node.as_sequence() {
        return list.iter().map(plain).filter(|entry| !entry.is_null()).collect();
    }
    node.as_str().map_or(Value::Null, |text| json!(text))
}

/// What both descriptions of a table must agree on, with lists in a fixed order.
fn shape(table: &Value) -> Value {
    let sorted = |list: &Value, name: &str| {
        let mut list = list.as_array().cloned().unwrap_or_default();
        list.sort_by_key(|entry| entry[name].to_string());
        list
    };
    let index = |index: &Value| {
        let mut projected = index["Projection"]["NonKeyAttributes"].as_array().cloned().unwrap_or_default();
        projected.sort_by_key(ToString::to_string);
        json!({
            "name": index["IndexName"],
            "keys": index["KeySchema"],
            "vector": index["VectorAttribute"]["AttributeName"],
            "search": sorted(&index["SearchSchema"], "AttributeName"),
            "distance": index["DistanceFunction"],
            "projection": index["Projection"]["ProjectionType"],
            "projected": projected,
        })
    };
    let indexes = |list: &Value| list.as_array().map(|list| list.iter().map(index).collect::<Vec<_>>());
    json!({
        "attributes": sorted(&table["AttributeDefinitions"], "AttributeName"),
        "keys": table["KeySchema"],
        "secondary": indexes(&table["GlobalSecondaryIndexes"]).unwrap_or_default(),
        "vectors": indexes(&table["VectorIndexes"]).unwrap_or_default(),
        "stream": table["StreamSpecification"]["StreamViewType"],
    })
}

/// A table as the embedded database describes it, which is what the code asked for.
async fn described(endpoint: &str, table: &str) -> Value {
    let answer = reqwest::Client::new()
        .post(endpoint)
        .header("x-amz-target", "DynamoDB_20120810.DescribeTable")
        .header("content-type", "application/x-amz-json-1.0")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=x/20261123/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=x",
        )
        .header("x-amz-date", "20261123T000000Z")
        .body(json!({ "TableName": table }).to_string())
        .send()
        .await
        .unwrap();
    serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap()["Table"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_template_and_the_code_define_the_same_tables() {
    let app = TestApp::start().await;
    let endpoint = app.running().variables().optional_text("DYNAMODB_ENDPOINT").unwrap().to_owned();
    let resources = resources();
    for (resource, table) in [("MainTable", "ragline"), ("ChunksTable", "ragline-chunks")] {
        let written = shape(&resources[resource]["Properties"]);
        let created = shape(&described(&endpoint, table).await);
        assert!(created["keys"].is_array(), "{table} is described: {created}");
        assert_eq!(written, created, "{resource}");
    }
    app.stop().await;
}

/// Whether a filter of an event source lets a text pass; of its operators those that the template uses.
fn passes(filter: &Value, text: &str) -> bool {
    filter.as_array().unwrap().iter().any(|rule| match rule.as_str() {
        Some(exactly) => text == exactly,
        None => text.starts_with(rule["prefix"].as_str().unwrap()),
    })
}

#[test]
fn the_stream_is_filtered_for_the_items_that_something_follows_from() {
    let source = &resources()["changes"]["Properties"]["Events"]["Changed"]["Properties"];
    let filters = source["FilterCriteria"]["Filters"].as_array().unwrap();
    let patterns: Vec<Value> =
        filters.iter().map(|filter| serde_json::from_str(filter["Pattern"].as_str().unwrap()).unwrap()).collect();

    let (tenant, user): (TenantId, UserId) = ("acme".parse().unwrap(), "ada".parse().unwrap());
    let (collection, conversation) = (CollectionId::default_collection(), ConversationId::new());
    for key in [
        Key::document(&tenant, DocumentId::new()),
        Key::collection(&tenant, &collection),
        Key::user(&tenant, &user),
        Key::api_key(&tenant, KeyId::new()),
        Key::tenant(&tenant),
        Key::owners(&tenant),
        Key::audit(&tenant, AuditId::new()),
        Key::usage(&tenant, "2026-11"),
        Key::budget(&tenant, "2026-11-26"),
        Key::stock(&tenant),
        Key::content_hash(&tenant, &collection, "00"),
        Key::removal(&tenant, DocumentId::new()),
        Key::idempotency(&tenant, "00"),
        Key::webhook(&tenant, &"crm".parse().unwrap()),
        Key::delivery(&tenant, RegistrationId::new(), EventId::new()),
        Key::conversation(&tenant, Subject::User(&user), conversation),
        Key::message(&tenant, conversation, MessageId::new()),
        Key::health(),
    ] {
        let read = Stored::from_key(&key.pk, &key.sk).unwrap().is_some();
        let passed = patterns.iter().any(|pattern| passes(&pattern["dynamodb"]["Keys"]["sk"]["S"], &key.sk));
        assert_eq!(passed, read, "{key:?}");
    }
}
