//! The `ingest` function.

use std::process::ExitCode;

use aws_lambda_events::sqs::SqsEvent;
use shared::chunks::Chunks;
use shared::clients::Builder;
use shared::collections::Collections;
use shared::documents::Documents;
use shared::tenants::Tenants;
use shared::texts::Texts;
use shared::{http, telemetry};

fn main() -> Result<ExitCode, lambda_runtime::Error> {
    if let Some(code) = ingest::extract_if_told() {
        return Ok(code);
    }
    serve()?;
    Ok(ExitCode::SUCCESS)
}

#[tokio::main]
async fn serve() -> Result<(), lambda_runtime::Error> {
    let (variables, telemetry) = telemetry::init_from_process()?;
    let builder = Builder::new(variables).await;
    let (dynamodb, redis, blobs) = (builder.dynamodb()?, builder.redis()?, builder.blobs()?);
    let state = ingest::State {
        tenants: Tenants::new(&dynamodb),
        collections: Collections::new(&dynamodb),
        documents: Documents::new(&dynamodb),
        chunks: Chunks::new(&dynamodb),
        texts: Texts::new(&blobs),
        blobs,
        extractor: ingest::Extractor::of_this_program(),
        models: builder.models()?,
        epochs: builder.epochs(&redis, &dynamodb)?,
        queue: builder.queue("INGEST_QUEUE_URL")?,
        config: ingest::Config::from_variables(builder.variables())?,
    };
    let work = async |event: SqsEvent| Ok(ingest::handle(state.clone(), event).await);
    http::run_worker(telemetry, work).await
}
