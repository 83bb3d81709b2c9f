//! The `ingest` function.

use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{LambdaEvent, service_fn};
use shared::chunks::Chunks;
use shared::clients::Builder;
use shared::documents::Documents;
use shared::telemetry;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let builder = Builder::new(telemetry::init_from_process()?).await;
    let (dynamodb, redis) = (builder.dynamodb()?, builder.redis()?);
    let state = ingest::State {
        documents: Documents::new(&dynamodb),
        chunks: Chunks::new(&dynamodb),
        blobs: builder.blobs()?,
        embedder: builder.embedder()?,
        epochs: builder.epochs(&redis, &dynamodb)?,
        queue: builder.queue("INGEST_QUEUE_URL")?,
        config: ingest::Config::from_variables(builder.variables())?,
    };
    let work = |event: LambdaEvent<SqsEvent>| async {
        Ok::<_, lambda_runtime::Error>(ingest::handle(state.clone(), event.payload).await)
    };
    lambda_runtime::run(service_fn(work)).await
}
