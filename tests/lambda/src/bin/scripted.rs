//! `scripted`: a function for the tests of what runs functions. As `authorizer` it lets in who says `Bearer good`, as `chat` it
//! streams, and otherwise it does what the query of a request says.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::{StreamExt, stream};
use lambda_http::lambda_runtime::{self, LambdaEvent};
use lambda_http::request::RequestContext;
use lambda_http::{Error, Request, RequestExt, Response, service_fn};
use serde_json::{Value, json};

/// The pieces that `chat` says, and how far apart.
const PIECES: [&str; 3] = ["one ", "two ", "three"];
const APART: Duration = Duration::from_millis(200);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    match std::env::var("AWS_LAMBDA_FUNCTION_NAME").as_deref() {
        Ok("authorizer") => lambda_runtime::run(service_fn(authorize)).await,
        Ok("chat") => lambda_http::run_with_streaming_response(service_fn(chat)).await,
        _ => lambda_http::run(service_fn(obey)).await,
    }
}

async fn authorize(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let effect = match event.payload["headers"]["authorization"].as_str() {
        Some("Bearer good") => "Allow",
        Some("Bearer bad") => "Deny",
        _ => return Err("Unauthorized".into()),
    };
    let (stage, _) = event.payload["methodArn"].as_str().and_then(|arn| arn.split_once("/v1/")).ok_or("no stage")?;
    let statement = json!({ "Action": "execute-api:Invoke", "Effect": effect, "Resource": format!("{stage}/v1/*/*") });
    Ok(json!({
        "principalId": "ada",
        "policyDocument": { "Version": "2012-10-17", "Statement": [statement] },
        "context": { "request": event.context.request_id },
    }))
}

async fn chat(request: Request) -> Result<Response<Body>, Error> {
    let torn = request.query_string_parameters().first("do") == Some("die");
    let pieces = stream::iter(PIECES).enumerate().then(move |(number, piece)| async move {
        if number > 0 {
            tokio::time::sleep(APART).await;
        }
        if torn && number == 2 {
            std::process::abort();
        }
        Ok::<_, Error>(Bytes::from(piece))
    });
    Ok(Response::builder().header("content-type", "text/plain").body(Body::from_stream(pieces))?)
}

async fn obey(request: Request) -> Result<Response<String>, Error> {
    match request.query_string_parameters().first("do") {
        Some("die") => std::process::abort(),
        Some("fail") => return Err("it was told to".into()),
        Some("wait") => tokio::time::sleep(Duration::from_secs(1)).await,
        _ => {}
    }
    let vouched = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.authorizer.fields.clone(),
        _ => HashMap::new(),
    };
    let said = json!({
        "pid": std::process::id(),
        "path": request.uri().path(),
        "body": String::from_utf8_lossy(request.body()),
        "vouched": vouched,
    });
    Ok(Response::builder().header("x-one", "1").header("x-one", "2").body(said.to_string())?)
}
