//! Every route is behind the door.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use shared::http::ClientIp;
use tests::{TestApp, data};
use tower::ServiceExt;

/// Routes that anybody may ask, as often as they like.
const OPEN: [&str; 2] = ["/health", "/health/ready"];

/// The paths and methods of a router. It does not tell them but in its description for developers: the paths and the methods,
/// each by the number of the route.
fn routes(router: &Router) -> BTreeMap<String, BTreeSet<&'static str>> {
    let description = format!("{router:?}");
    let path_router = description.split("fallback_router").next().unwrap();
    let (endpoints, paths) = path_router.split_once("node: Node").expect("axum describes its routers otherwise now");
    let numbered = |text: &str| -> Vec<(usize, String)> {
        let entries = text.split("RouteId(").skip(1).map(|entry| entry.split_once(')').unwrap());
        entries.map(|(number, rest)| (number.parse().unwrap(), rest.to_owned())).collect()
    };
    let methods: BTreeMap<usize, BTreeSet<&'static str>> = numbered(endpoints)
        .into_iter()
        .map(|(number, endpoint)| {
            let has = |method: &&str| !endpoint.contains(&format!("{}: None", method.to_lowercase()));
            (number, ["GET", "DELETE", "PATCH", "POST", "PUT"].into_iter().filter(has).collect())
        })
        .collect();
    let paths = numbered(paths).into_iter();
    paths.map(|(number, rest)| (rest.split('"').nth(1).unwrap().to_owned(), methods[&number].clone())).collect()
}

async fn ask(router: &Router, method: &str, path: &str, ip: [u8; 4]) -> StatusCode {
    let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    request.extensions_mut().insert(ClientIp::new(IpAddr::V4(Ipv4Addr::from(ip))));
    shared::http::boundary(router.clone()).oneshot(request).await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_lets_anybody_in_who_is_unknown_or_asks_too_often() {
    // Nobody's second request within a minute is let in.
    let app = TestApp::start_with(&[("LIMIT_IP_PER_MINUTE", "1")]).await;
    let router = app.running().router();
    let routes = routes(&router);
    let mut tried = 0;
    for (path, methods) in &routes {
        for method in methods {
            tried += 1;
            let path = path.replace("{id}", "01J9ZQ3W6V8Y0ABCDEFGHJKMNP");
            let ip = [192, 0, 2, tried];
            let expected: [u16; 2] = if OPEN.contains(&path.as_str()) { [200, 200] } else { [401, 429] };
            let statuses = [ask(&router, method, &path, ip).await, ask(&router, method, &path, ip).await];
            assert_eq!(statuses.map(|status| status.as_u16()), expected, "{method} {path}");
        }
    }
    let manifest: toml::Table = data::project_file("Cargo.toml").parse().unwrap();
    let known = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"].as_table().unwrap();
    assert_eq!(
        routes.keys().collect::<BTreeSet<_>>(),
        known.keys().collect(),
        "the walk saw all routes, and no others"
    );
    assert!(tried > routes.len() as u8, "some paths have several methods");
    app.stop().await;
}
