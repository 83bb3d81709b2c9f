//! What can go wrong while a request is answered, before it becomes HTTP.

use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::tenancy::Role;

/// What was wrong with one part of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// A JSON pointer into the body (`/query`), or the name of a parameter or form field.
    pub pointer: String,
    /// A sentence for the caller.
    pub detail: String,
}

impl FieldError {
    /// A fault of the part that `pointer` names.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// What a language model did instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelFault {
    /// It cannot be reached, or failed on its side.
    Unavailable,
    /// It takes no more requests for now.
    Overloaded,
    /// It was silent for too long.
    TimedOut,
    /// It broke off, or said what does not follow its protocol.
    Broken,
    /// It refuses the request; asking again will not help.
    Refused,
}

/// The reason a request was not answered as asked. [`crate::http`] turns it into a problem document; the text of
/// [`Error::Unavailable`] and [`Error::Internal`] goes to the log only.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input breaks the contract.
    #[error("invalid input")]
    Invalid(Vec<FieldError>),
    /// No verified caller; the reason is for the log.
    #[error("unauthenticated: {0}")]
    Unauthenticated(&'static str),
    /// The caller's role is too low.
    #[error("forbidden")]
    Forbidden {
        /// The lowest role that may.
        required: Role,
    },
    /// No such resource in the caller's tenant.
    #[error("not found")]
    NotFound,
    /// A signed address was altered or is too old.
    #[error("the signature does not hold")]
    BadSignature,
    /// The `Idempotency-Key` stands for a request with another body.
    #[error("an idempotency key was used for another request")]
    IdempotencyMismatch,
    /// The request that the `Idempotency-Key` stands for has no answer yet.
    #[error("the request of an idempotency key still runs")]
    IdempotencyInProgress {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The resource is in a state that does not allow the request.
    #[error("conflict: {0}")]
    Conflict(&'static str),
    /// The body is larger than the route takes.
    #[error("too large: {0}")]
    TooLarge(String),
    /// The content type is not one the route takes.
    #[error("unsupported media type")]
    UnsupportedMediaType {
        /// The types the route takes.
        expected: &'static str,
    },
    /// More requests than a limit allows.
    #[error("rate limited by {}", violated.join(", "))]
    RateLimited {
        /// The policies that were violated.
        violated: Vec<&'static str>,
        /// When there is room again.
        retry_after: Duration,
    },
    /// The tenant stores as much as it may.
    #[error("the quota of {quota} is used up")]
    QuotaExceeded {
        /// Of what.
        quota: &'static str,
        /// How much that is.
        limit: u64,
    },
    /// The tenant has as many documents in work as it may have at a time.
    #[error("{limit} documents are in work")]
    TooManyIngestions {
        /// How many that are.
        limit: u64,
        /// When some of them may be done.
        retry_after: Duration,
    },
    /// The tenant has no tokens of language models left for the day.
    #[error("the budget of {budget} tokens a day is exhausted")]
    BudgetExhausted {
        /// How many it has in a day.
        budget: u64,
        /// When the day ends.
        retry_after: Duration,
    },
    /// As many answers are being made as may be at a time.
    #[error("{policy}: {limit} answers are being made")]
    TooManyStreams {
        /// The limit that is reached.
        policy: &'static str,
        /// How many that are.
        limit: u32,
        /// When some of them may be done.
        retry_after: Duration,
    },
    /// The language model did not answer as it should.
    #[error("the language model: {fault:?}: {context}")]
    Model {
        /// What it did instead.
        fault: ModelFault,
        /// For the log: how it showed.
        context: String,
        /// When to try again, if the provider said so.
        retry_after: Option<Duration>,
    },
    /// A dependency is away or overloaded; trying again may help.
    #[error("unavailable: {context}")]
    Unavailable {
        /// For the log: what failed and how.
        context: String,
        /// The earliest time a retry makes sense.
        retry_after: Duration,
    },
    /// A fault of ours.
    #[error("internal: {0}")]
    Internal(String),
}

impl Error {
    /// One invalid field.
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(pointer, detail)])
    }

    /// A body of more than so many bytes.
    pub fn body_too_large(most: usize) -> Self {
        Self::TooLarge(format!("The body may have {} kB.", most / 1024))
    }

    /// A dependency that is away for now.
    pub fn unavailable(context: impl Into<String>) -> Self {
        Self::Unavailable { context: context.into(), retry_after: Duration::from_secs(2) }
    }

    /// When to try again, if that is known: whole seconds, rounded up, so never too early.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        let (Self::Unavailable { retry_after, .. }
        | Self::RateLimited { retry_after, .. }
        | Self::TooManyIngestions { retry_after, .. }
        | Self::BudgetExhausted { retry_after, .. }
        | Self::TooManyStreams { retry_after, .. }
        | Self::IdempotencyInProgress { retry_after }
        | Self::Model { retry_after: Some(retry_after), .. }) = self
        else {
            return None;
        };
        Some(u64::try_from(retry_after.as_micros().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1))
    }

    /// A fault of ours, with what is known of it.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::Internal(cause.to_string())
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    /// A refused request is our fault; everything else about DynamoDB and SQS passes.
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let context = said(&error);
        match &error {
            SdkError::ServiceError(service) => match service.err().code() {
                Some(
                    "InternalServerError"
                    | "OverLimit"
                    | "ProvisionedThroughputExceededException"
                    | "RequestLimitExceeded"
                    | "RequestThrottled"
                    | "ServiceUnavailable"
                    | "ThrottlingException"
                    | "TransactionConflictException",
                ) => Self::unavailable(context),
                _ => Self::Internal(context),
            },
            SdkError::ConstructionFailure(_) => Self::Internal(context),
            _ => Self::unavailable(context),
        }
    }
}

/// What AWS says of a call that failed. The answer itself is left out: it may hold items.
pub fn said<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if let SdkError::ServiceError(service) = error {
        let told = service.err();
        return format!("{}: {}", told.code().unwrap_or("no code"), told.message().unwrap_or("no message"));
    }
    let mut chain = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        chain = format!("{chain}: {error}");
        cause = error.source();
    }
    chain
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        Self::unavailable(format!("object storage: {error}"))
    }
}

impl From<serde_dynamo::Error> for Error {
    fn from(error: serde_dynamo::Error) -> Self {
        Self::Internal(format!("stored item: {error}"))
    }
}
