//! `faulty <data folder>`: an installation whose embedder panics, in a process of its own since a panic is told to the whole
//! process. It searches once and works on one document, prints what became of either and whether it still serves, and ends.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use axum::body::Body;
use http::Request;
use local::{DataFolder, Settings, TokenClaims};
use serde_json::json;
use shared::clients::Builder;
use shared::config::{TelemetryConfig, Variables};
use shared::embed::{EmbedError, Embedder, Model, Models};
use shared::http::boundary;
use shared::telemetry;
use shared::tenancy::Role;
use tests::User;
use time::OffsetDateTime;
use tower::ServiceExt;

/// Says in its panic what it was given, as a careless message would.
struct Panics;

#[async_trait]
impl Embedder for Panics {
    fn model(&self) -> &'static str {
        "panics"
    }

    fn dimensions(&self) -> usize {
        384
    }

    fn window(&self) -> usize {
        256
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        panic!("no vectors of {texts:?}")
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    match ingest::extract_if_told() {
        Some(code) => Ok(code),
        None => run().map(|()| ExitCode::SUCCESS),
    }
}

#[tokio::main]
async fn run() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: faulty <data folder>")?;
    let variables = Variables::from_process();
    let telemetry = telemetry::init(&TelemetryConfig::from_variables(&variables)?)?;
    let settings = Settings::from_variables(DataFolder::open(folder)?, 0, variables)?;
    let running = local::start(&Settings { workers: false, ..settings }).await?;
    let claims = TokenClaims { tenant: "acme".parse()?, user: "ada@example.com".parse()?, role: Role::Editor };
    let token = running.issuer().token(&claims, OffsetDateTime::now_utc())?;

    let builder = Builder::new(running.variables().clone()).await?;
    let (dynamodb, redis, blobs) = (builder.dynamodb()?, builder.redis()?, builder.blobs()?);
    let edition = builder.models()?.current.edition;
    let models = Models { current: Model { edition, embedder: Arc::new(Panics) }, previous: None };

    let retriever = builder.retriever(&dynamodb, &redis, models.clone())?;
    let search = boundary(search::router(search::State { door: builder.door(&dynamodb, &redis)?, retriever }));
    let request = Request::post("/search")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Body::from(json!({ "query": "planted question" }).to_string()))?;
    println!("search {}", search.oneshot(request).await?.status().as_u16());

    let http = reqwest::Client::new();
    let ada = User::new(&http, running.url(), Some(token));
    let document = ada.upload("planted.md", "A planted text.").await;
    let extractor = ingest::Extractor::of_this_program();
    let worker = ingest::State::new(&builder, (&dynamodb, &redis, &blobs), models, extractor)?;
    let mut message = SqsMessage::default();
    message.message_id = Some("m1".to_owned());
    let key = format!("t/acme/{document}/1/original");
    let body = json!({ "Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "local", "eventTime": "2026-11-23T12:00:00.000Z",
        "eventName": "ObjectCreated:Put", "userIdentity": { "principalId": "x" },
        "requestParameters": { "sourceIPAddress": "127.0.0.1" }, "responseElements": {},
        "s3": { "s3SchemaVersion": "1.0", "configurationId": "ingest",
            "bucket": { "name": "b", "ownerIdentity": { "principalId": "x" }, "arn": "arn:aws:s3:::b" },
            "object": { "key": key, "size": 15, "sequencer": "0" } },
    }] });
    message.body = Some(body.to_string());
    let mut event = SqsEvent::default();
    event.records = vec![message];
    println!("worker {}", ingest::handle(worker, event).await.batch_item_failures.len());
    println!("alive {}", ada.get("/users/me").await.status.as_u16());
    telemetry.flush().await;
    running.stop().await;
    Ok(())
}
