//! The `webhooks` function.

use std::sync::Arc;

use aws_lambda_events::sqs::SqsEvent;
use shared::clients::{Builder, Clients};
use shared::webhooks::{Deliveries, Secrets, WEBHOOK_QUEUE, Webhooks};
use shared::{http, telemetry};
use time::OffsetDateTime;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let (variables, telemetry) = telemetry::init_from_process()?;
    let builder = Builder::new(variables).await?;
    let dynamodb = builder.dynamodb()?;
    let state = webhooks::State {
        webhooks: Webhooks::new(&dynamodb),
        deliveries: Deliveries::new(&dynamodb),
        secrets: Secrets::new(&builder.signer()?),
        outside: builder.outside()?,
        queue: builder.queue(WEBHOOK_QUEUE)?,
        clock: Arc::new(OffsetDateTime::now_utc),
    };
    Clients { dynamodb: Some(&dynamodb), ..Clients::default() }.warm().await;
    let work = async |event: SqsEvent| Ok(webhooks::handle(state.clone(), event).await);
    http::run_worker(telemetry, work).await
}
