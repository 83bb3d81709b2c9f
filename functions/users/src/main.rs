//! The `users` function.

use std::sync::Arc;

use shared::budgets::Budgets;
use shared::clients::{Builder, Clients};
use shared::config::{LlmConfig, Reach};
use shared::keys::Keys;
use shared::page::Pages;
use shared::tenants::Tenants;
use shared::usage::Usage;
use shared::users::Users;
use shared::webhooks::{Secrets, WEBHOOK_QUEUE, Webhooks};
use shared::{http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let (variables, telemetry) = telemetry::init_from_process()?;
    let builder = Builder::new(variables).await?;
    let (dynamodb, redis, signer) = (builder.dynamodb()?, builder.redis()?, builder.signer()?);
    let door = builder.door(&dynamodb, &redis)?;
    Clients { dynamodb: Some(&dynamodb), redis: Some(&redis), blobs: None }.warm().await;
    let state = users::State {
        door,
        idempotency: builder.idempotency(&dynamodb, &signer)?,
        tenants: Tenants::new(&dynamodb),
        users: Users::new(&dynamodb),
        keys: Keys::new(&dynamodb),
        models: Arc::new(LlmConfig::models_from_variables(builder.variables())?),
        usage: Usage::new(&dynamodb),
        budgets: Budgets::new(&dynamodb),
        webhooks: Webhooks::new(&dynamodb),
        secrets: Secrets::new(&signer),
        reach: Reach::from_variables(builder.variables())?,
        webhook_queue: builder.queue(WEBHOOK_QUEUE)?,
        pages: Pages::new(&dynamodb, &signer),
    };
    http::run(users::router(state), telemetry).await
}
