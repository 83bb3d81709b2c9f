//! Every route is behind the door.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use shared::http::ClientIp;
use tests::{TestApp, data, routes};
use tower::ServiceExt;

/// Routes that anybody may ask, as often as they like.
const OPEN: [&str; 3] = ["/health", "/health/ready", "/openapi.json"];

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
    let routes = routes::of(&router);
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
