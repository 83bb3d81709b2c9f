//! The `health` function.

use shared::clients::Builder;
use shared::{http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let (variables, telemetry) = telemetry::init_from_process()?;
    let builder = Builder::new(variables).await?;
    let state = health::State { dynamodb: builder.dynamodb()?, redis: builder.redis()?, blobs: builder.blobs()? };
    http::run(health::router(state), telemetry).await
}
