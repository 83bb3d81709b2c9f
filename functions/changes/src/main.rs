//! The `changes` function.

use aws_lambda_events::dynamodb::Event;
use lambda_runtime::{LambdaEvent, service_fn};
use shared::chunks::Chunks;
use shared::clients::{Builder, Clients};
use shared::conversations::Conversations;
use shared::documents::Documents;
use shared::keys::Keys;
use shared::telemetry;
use shared::usage::Usage;
use shared::users::Users;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let builder = Builder::new(telemetry::init_from_process()?).await;
    let (dynamodb, redis) = (builder.dynamodb()?, builder.redis()?);
    let state = changes::State {
        epochs: builder.epochs(&redis, &dynamodb)?,
        documents: Documents::new(&dynamodb),
        chunks: Chunks::new(&dynamodb),
        blobs: builder.blobs()?,
        users: Users::new(&dynamodb),
        keys: Keys::new(&dynamodb),
        conversations: Conversations::new(&dynamodb),
        usage: Usage::new(&dynamodb),
    };
    Clients { redis: Some(&redis), ..Clients::default() }.warm().await;
    let work = |event: LambdaEvent<Event>| async {
        Ok::<_, lambda_runtime::Error>(changes::handle(state.clone(), event.payload).await)
    };
    lambda_runtime::run(service_fn(work)).await
}
