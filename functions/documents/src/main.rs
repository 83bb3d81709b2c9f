//! The `documents` function.

use shared::chunks::Chunks;
use shared::clients::{Builder, Clients};
use shared::collections::Collections;
use shared::documents::Documents;
use shared::page::Pages;
use shared::texts::Texts;
use shared::{http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let (variables, telemetry) = telemetry::init_from_process()?;
    let builder = Builder::new(variables).await?;
    let (dynamodb, redis, blobs) = (builder.dynamodb()?, builder.redis()?, builder.blobs()?);
    let signer = builder.signer()?;
    let door = builder.door(&dynamodb, &redis)?;
    Clients { dynamodb: Some(&dynamodb), redis: Some(&redis), blobs: None }.warm().await;
    let state = documents::State {
        door,
        documents: Documents::new(&dynamodb),
        collections: Collections::new(&dynamodb),
        chunks: Chunks::new(&dynamodb),
        pages: Pages::new(&dynamodb, &signer),
        content_urls: builder.content_urls(&blobs, &signer)?,
        texts: Texts::new(&blobs),
        blobs,
    };
    http::run(documents::router(state), telemetry).await
}
