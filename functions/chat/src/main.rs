//! The `chat` function.

use chat::{Conversations, State};
use shared::budgets::Budgets;
use shared::clients::{Builder, Clients};
use shared::page::Pages;
use shared::{http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let builder = Builder::new(telemetry::init_from_process()?).await;
    let (dynamodb, redis) = (builder.dynamodb()?, builder.redis()?);
    let door = builder.door(&dynamodb, &redis)?;
    Clients { dynamodb: Some(&dynamodb), redis: Some(&redis), door: Some(&door), blobs: None }.warm().await;
    let state = State {
        door,
        retriever: builder.retriever(&dynamodb, &redis, builder.models()?)?,
        conversations: Conversations::new(&dynamodb, &Pages::new(&dynamodb, &builder.signer()?)),
        budgets: Budgets::new(&dynamodb),
    };
    http::run_streaming(chat::router(state)).await
}
