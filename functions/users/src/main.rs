//! The `users` function.

use shared::clients::{Builder, Clients};
use shared::collections::Collections;
use shared::{http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let builder = Builder::new(telemetry::init_from_process()?).await;
    let (dynamodb, verifier) = (builder.dynamodb()?, builder.verifier()?);
    Clients { dynamodb: Some(&dynamodb), verifier: Some(&verifier), ..Clients::default() }.warm().await;
    let state = users::State { verifier, collections: Collections::new(&dynamodb) };
    http::run(users::router(state)).await
}
