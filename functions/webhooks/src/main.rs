//! The `webhooks` function.

use std::sync::Arc;

use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{LambdaEvent, service_fn};
use shared::clients::{Builder, Clients};
use shared::webhooks::{Deliveries, Secrets, WEBHOOK_QUEUE, Webhooks};
use shared::{metrics, telemetry};
use time::OffsetDateTime;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let builder = Builder::new(telemetry::init_from_process()?).await;
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
    let work = |event: LambdaEvent<SqsEvent>| async {
        let response = webhooks::handle(state.clone(), event.payload).await;
        metrics::flush();
        Ok::<_, lambda_runtime::Error>(response)
    };
    lambda_runtime::run(service_fn(work)).await
}
