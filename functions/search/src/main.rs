//! The `search` function.

use shared::clients::{Builder, Clients};
use shared::{http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let (variables, telemetry) = telemetry::init_from_process()?;
    let builder = Builder::new(variables).await?;
    let (dynamodb, redis) = (builder.dynamodb()?, builder.redis()?);
    let door = builder.door(&dynamodb, &redis)?;
    Clients { dynamodb: Some(&dynamodb), redis: Some(&redis), blobs: None }.warm().await;
    let retriever = builder.retriever(&dynamodb, &redis, builder.models()?)?;
    http::run(search::router(search::State { door, retriever }), telemetry).await
}
