//! The description of the API says what the API is.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::{TestApp, data, description, routes};

use crate::template;

type Routes = BTreeSet<(String, String)>;

fn described() -> Routes {
    description::operations().into_iter().map(|operation| (operation.method, operation.path)).collect()
}

#[test]
fn what_is_written_down_is_what_the_code_says() {
    assert!(description::written() == description::made(), "docs/openapi.json is not what the code says: make openapi");
}

#[test]
fn every_operation_says_all_that_a_client_must_know() {
    let description: Value = serde_json::from_str(&description::written()).unwrap();
    let mut names = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let at = format!("{method} {path}");
            for text in ["operationId", "summary", shared::openapi::LOWEST_ROLE] {
                assert!(operation[text].as_str().is_some_and(|text| !text.is_empty()), "{at} has no {text}");
            }
            assert!(names.insert(operation["operationId"].to_string()), "{at} has the id of another");
            let open = operation[shared::openapi::LOWEST_ROLE] == "anyone";
            assert_eq!(operation["security"].as_array().map(Vec::is_empty), Some(open), "{at}");
            assert_eq!(operation["responses"]["401"].is_null(), open, "{at}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let explained = response["description"].as_str().is_some_and(|text| !text.is_empty());
                assert!(explained || response["$ref"].is_string(), "{at} does not say what {status} is");
            }
        }
    }
}

/// Each that is not in both, with where it is missing.
fn differences(place: &str, there: &Routes) -> Vec<String> {
    let described = described();
    let missing = |route: &(String, String), place: &str| format!("{} {} is not in {place}", route.0, route.1);
    let here = there.difference(&described).map(|route| missing(route, "docs/openapi.json"));
    described.difference(there).map(|route| missing(route, place)).chain(here).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_the_routers_the_template_and_the_router_table_have_the_same_routes() {
    let app = TestApp::start().await;
    let routed = routes::of(&app.running().router());
    app.stop().await;
    let routed = routed.into_iter().flat_map(|(path, methods)| {
        methods.into_iter().map(move |method| (method.to_owned(), path.clone())).collect::<Vec<_>>()
    });
    let mut faults = differences("the routers", &routed.collect());

    let resources = template::resources();
    let events = resources.as_object().unwrap().values().filter_map(|each| each["Properties"]["Events"].as_object());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let events = events.flat_map(serde_json::Map::values).filter(|event| event["Type"] == "Api");
    let events = events.map(|event| &event["Properties"]).map(|event| (text(&event["Method"]), text(&event["Path"])));
    faults.extend(differences("template.yaml", &events.collect()));

    let manifest: toml::Table = data::project_file("Cargo.toml").parse().unwrap();
    let table = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"].as_table().unwrap();
    let mut known = Routes::new();
    for (path, rule) in table {
        match rule.as_array() {
            Some(rules) => {
                known.extend(rules.iter().map(|rule| (rule["method"].as_str().unwrap().to_owned(), path.clone())));
            }
            // A bare name takes every method.
            None => known.extend(described().into_iter().filter(|(_, described)| described == path)),
        }
        if !described().iter().any(|(_, described)| described == path) {
            known.insert(("ANY".to_owned(), path.clone()));
        }
    }
    faults.extend(differences("the router table of Cargo.toml", &known));
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn anyone_may_read_the_description_and_need_not_read_it_twice() {
    let app = TestApp::start().await;
    let first = app.nobody().get("/openapi.json").await.expect(200);
    assert_eq!(first.header("content-type"), "application/json");
    assert_eq!(first.body, serde_json::from_str::<Value>(&description::written()).unwrap());
    assert!(first.header("cache-control").contains("public"));
    let again = app.nobody().with("if-none-match", first.header("etag")).get("/openapi.json").await.expect(304);
    assert_eq!((again.header("etag"), &again.body), (first.header("etag"), &Value::Null));
    app.nobody().with("if-none-match", "\"another\"").get("/openapi.json").await.expect(200);
    app.stop().await;
}

#[test]
fn the_page_for_people_names_each_route_with_its_role() {
    let page = data::project_file("docs/API.md");
    let mut faults = Vec::new();
    for operation in description::operations() {
        let route = format!("`{} {}`", operation.method, operation.path);
        let line = page.lines().find(|line| line.starts_with('|') && line.split('|').nth(1).unwrap().contains(&route));
        let role = line.and_then(|line| line.split('|').nth(2)).map(str::trim);
        if role != Some(operation.lowest_role.as_str()) {
            faults.push(format!("{route} is {} in the description and {role:?} in docs/API.md", operation.lowest_role));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
