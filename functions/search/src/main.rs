//! The `search` function.

use shared::clients::{Builder, Clients};
use shared::{http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let builder = Builder::new(telemetry::init_from_process()?).await;
    let (dynamodb, redis, verifier) = (builder.dynamodb()?, builder.redis().await?, builder.verifier()?);
    Clients { dynamodb: Some(&dynamodb), redis: Some(&redis), verifier: Some(&verifier), ..Clients::default() }
        .warm()
        .await;
    let retriever = builder.retriever(&dynamodb, &redis, builder.embedder()?)?;
    http::run(search::router(search::State { verifier, retriever })).await
}
