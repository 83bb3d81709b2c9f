//! The `upload` function.

use shared::clients::{Builder, Clients};
use shared::collections::Collections;
use shared::documents::Documents;
use shared::{http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let builder = Builder::new(telemetry::init_from_process()?).await;
    let (dynamodb, blobs, verifier) = (builder.dynamodb()?, builder.blobs()?, builder.verifier()?);
    Clients { dynamodb: Some(&dynamodb), blobs: Some(&blobs), verifier: Some(&verifier), ..Clients::default() }
        .warm()
        .await;
    let state = upload::State {
        verifier,
        documents: Documents::new(&dynamodb),
        collections: Collections::new(&dynamodb),
        blobs,
    };
    http::run(upload::router(state)).await
}
