//! The `ingest` function.

use std::process::ExitCode;

use aws_lambda_events::sqs::SqsEvent;
use shared::clients::Builder;
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
    let builder = Builder::new(variables).await?;
    let (dynamodb, redis, blobs) = (builder.dynamodb()?, builder.redis()?, builder.blobs()?);
    let extractor = ingest::Extractor::of_this_program();
    let state = ingest::State::new(&builder, (&dynamodb, &redis, &blobs), builder.models()?, extractor)?;
    let work = async |event: SqsEvent| Ok(ingest::handle(state.clone(), event).await);
    http::run_worker(telemetry, work).await
}
