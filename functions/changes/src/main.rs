//! The `changes` function.

use aws_lambda_events::dynamodb::Event;
use lambda_runtime::{LambdaEvent, service_fn};
use shared::clients::{Builder, Clients};
use shared::webhooks::WEBHOOK_QUEUE;
use shared::{metrics, telemetry};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let builder = Builder::new(telemetry::init_from_process()?).await;
    let (dynamodb, redis) = (builder.dynamodb()?, builder.redis()?);
    let state = changes::State::new(
        builder.epochs(&redis, &dynamodb)?,
        &dynamodb,
        builder.blobs()?,
        builder.queue(WEBHOOK_QUEUE)?,
    );
    Clients { redis: Some(&redis), ..Clients::default() }.warm().await;
    let work = |event: LambdaEvent<Event>| async {
        let response = changes::handle(state.clone(), event.payload).await;
        metrics::flush();
        Ok::<_, lambda_runtime::Error>(response)
    };
    lambda_runtime::run(service_fn(work)).await
}
