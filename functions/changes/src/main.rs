//! The `changes` function.

use aws_lambda_events::dynamodb::Event;
use shared::clients::{Builder, Clients};
use shared::webhooks::WEBHOOK_QUEUE;
use shared::{http, telemetry};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (variables, telemetry) = telemetry::init_from_process()?;
    let builder = Builder::new(variables).await?;
    let (dynamodb, redis) = (builder.dynamodb()?, builder.redis()?);
    let state = changes::State::new(
        builder.epochs(&redis, &dynamodb)?,
        &dynamodb,
        builder.blobs()?,
        builder.queue(WEBHOOK_QUEUE)?,
    );
    Clients { redis: Some(&redis), ..Clients::default() }.warm().await;
    let work = async |event: Event| Ok(changes::handle(state.clone(), event).await);
    http::run_worker(telemetry, work).await
}
