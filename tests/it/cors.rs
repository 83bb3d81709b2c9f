//! Pages of other origins.

use reqwest::{Client, Method, Response};
use tests::TestApp;

const OURS: &str = "https://app.example.com";

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_configured_origin_may_call_and_read_and_no_others_may() {
    let app = TestApp::start_with(&[("ALLOWED_ORIGINS", OURS)]).await;
    let (client, url) = (Client::new(), format!("{}/documents", app.running().url()));
    let preflight = async |origin: &str| {
        let request = client.request(Method::OPTIONS, &url).header("origin", origin);
        let request = request.header("access-control-request-method", "GET");
        request.header("access-control-request-headers", "authorization").send().await.unwrap()
    };
    let answer = preflight(OURS).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "access-control-allow-origin")), (200, Some(OURS)));
    assert!(header(&answer, "access-control-allow-headers").unwrap().contains("authorization"), "{answer:?}");
    assert_eq!(header(&preflight("https://app.example.com.evil.example").await, "access-control-allow-origin"), None);

    // What is refused can be read as well.
    let refused = client.get(&url).header("origin", OURS).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), header(&refused, "access-control-allow-origin")), (401, Some(OURS)));
    assert!(header(&refused, "access-control-expose-headers").unwrap().contains("ratelimit"), "{refused:?}");
    app.stop().await;

    let closed = TestApp::start().await;
    let answer = client.get(format!("{}/health", closed.running().url())).header("origin", OURS).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "access-control-allow-origin")), (200, None));
    closed.stop().await;
}
