//! The `upload` function.

use shared::clients::{Builder, Clients};
use shared::collections::Collections;
use shared::documents::Documents;
use shared::usage::Usage;
use shared::{http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let (variables, telemetry) = telemetry::init_from_process()?;
    let builder = Builder::new(variables).await?;
    let (dynamodb, redis, blobs) = (builder.dynamodb()?, builder.redis()?, builder.blobs()?);
    let door = builder.door(&dynamodb, &redis)?;
    Clients { dynamodb: Some(&dynamodb), redis: Some(&redis), blobs: Some(&blobs) }.warm().await;
    let signer = builder.signer()?;
    let state = upload::State {
        door,
        idempotency: builder.idempotency(&dynamodb, &signer)?,
        documents: Documents::new(&dynamodb),
        collections: Collections::new(&dynamodb),
        upload_urls: builder.upload_urls(&blobs, &signer)?,
        queue: builder.queue("INGEST_QUEUE_URL")?,
        usage: Usage::new(&dynamodb),
        blobs,
    };
    http::run(upload::router(state), telemetry).await
}
