//! Takes the time of what clients do, where all of it passes.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{Metadata, OrchestratorError};
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

use crate::metrics;

/// Measures the calls of DynamoDB.
#[derive(Debug)]
pub(super) struct MeasuredCalls;

/// When a call began.
#[derive(Debug)]
struct Began(Instant);

impl Storable for Began {
    type Storer = StoreReplace<Self>;
}

impl Intercept for MeasuredCalls {
    fn name(&self) -> &'static str {
        "MeasuredCalls"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        bag.interceptor_state().store_put(Began(Instant::now()));
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = bag.load::<Metadata>().map_or("", Metadata::name);
        if let Some(Began(began)) = bag.load::<Began>() {
            metrics::DYNAMODB_CALL.took_of(known(operation), began.elapsed());
        }
        let attempts = bag.load::<RequestAttempts>().map_or(1, RequestAttempts::attempts);
        metrics::DYNAMODB_RETRIES.add(attempts.saturating_sub(1).into());
        // A condition that does not hold is an answer.
        let unanswered = matches!(context.output_or_error(), Some(Err(error)) if !is_answer(error));
        if unanswered || context.response().is_some_and(|response| response.status().is_server_error()) {
            metrics::DYNAMODB_FAILURES.add(1);
        }
        Ok(())
    }
}

fn is_answer<E>(error: &OrchestratorError<E>) -> bool {
    error.is_operation_error()
}

/// The operation, if it is one of those that requests are made of.
fn known(operation: &str) -> &str {
    if metrics::DYNAMODB_CALL.knows(operation) { operation } else { "other" }
}

/// Measures the calls of an object storage.
#[derive(Debug)]
pub(super) struct MeasuredStore(pub(super) Arc<dyn ObjectStore>);

impl fmt::Display for MeasuredStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl MeasuredStore {
    async fn measure<T>(operation: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let outcome = metrics::STORAGE_CALL.time_of(operation, call).await;
        if outcome.as_ref().is_err_and(|error| !matches!(error, object_store::Error::NotFound { .. })) {
            metrics::STORAGE_FAILURES.add(1);
        }
        outcome
    }
}

#[async_trait]
impl ObjectStore for MeasuredStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        Self::measure("put", self.0.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Self::measure("put_multipart", self.0.put_multipart_opts(location, options)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        Self::measure("get", self.0.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}
