//! The `chat` function.

use std::sync::Arc;

use chat::{Conversations, Models, Process, Runs, State};
use shared::budgets::Budgets;
use shared::clients::{Builder, Clients};
use shared::config::{DoorConfig, LlmConfig};
use shared::documents::Documents;
use shared::page::Pages;
use shared::texts::Texts;
use shared::{http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let (variables, telemetry) = telemetry::init_from_process()?;
    let builder = Builder::new(variables).await?;
    let (dynamodb, redis, blobs) = (builder.dynamodb()?, builder.redis()?, builder.blobs()?);
    let door = builder.door(&dynamodb, &redis)?;
    Clients { dynamodb: Some(&dynamodb), redis: Some(&redis), blobs: None }.warm().await;
    let signer = builder.signer()?;
    let pages = Pages::new(&dynamodb, &signer);
    let config = Arc::new(LlmConfig::from_variables(builder.variables())?);
    let state = State {
        door,
        retriever: builder.retriever(&dynamodb, &redis, builder.models()?)?,
        budgets: Budgets::new(&dynamodb),
        documents: Documents::new(&dynamodb),
        texts: Texts::new(&blobs),
        content_urls: builder.content_urls(&blobs, &signer)?,
        conversations: Conversations::new(&dynamodb, &pages),
        pages,
        // Lambda freezes it when it has answered.
        runs: Runs::new(
            &redis,
            Process::IsFrozen,
            DoorConfig::from_variables(builder.variables())?.fallback_share_spending,
        ),
        idempotency: builder.idempotency(&dynamodb, &signer)?,
        models: Models::new(&config, builder.llm(&config)?),
        config,
    };
    http::run_streaming(chat::router(state), telemetry).await
}
