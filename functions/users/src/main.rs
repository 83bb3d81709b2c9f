//! The `users` function.

use shared::clients::{Builder, Clients};
use shared::collections::Collections;
use shared::tenants::Tenants;
use shared::users::Users;
use shared::{http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let builder = Builder::new(telemetry::init_from_process()?).await;
    let (dynamodb, redis) = (builder.dynamodb()?, builder.redis()?);
    let door = builder.door(&dynamodb, &redis)?;
    Clients { dynamodb: Some(&dynamodb), redis: Some(&redis), door: Some(&door), blobs: None }.warm().await;
    let state = users::State {
        door,
        collections: Collections::new(&dynamodb),
        tenants: Tenants::new(&dynamodb),
        users: Users::new(&dynamodb),
    };
    http::run(users::router(state)).await
}
