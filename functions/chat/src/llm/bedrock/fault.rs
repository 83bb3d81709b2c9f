use aws_sdk_bedrockruntime::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_bedrockruntime::operation::RequestId;
use aws_sdk_bedrockruntime::operation::converse_stream::ConverseStreamError;
use aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError;
use shared::error::ModelFault;

use crate::llm::LlmError;

/// There is no stream.
pub(super) fn refused<R>(error: &SdkError<ConverseStreamError, R>) -> LlmError
where
    R: std::fmt::Debug,
    SdkError<ConverseStreamError, R>: RequestId,
{
    let (fault, context) = match error {
        SdkError::ServiceError(service) => {
            let (name, message) = (service.err().code().unwrap_or("an unknown exception"), service.err().message());
            // Only these are sure to quote nothing of the request but the model's name.
            let message = message.filter(|_| matches!(name, "AccessDeniedException" | "ResourceNotFoundException"));
            (exception(name), format!("{name}{}", message.map(|message| format!(": {message}")).unwrap_or_default()))
        }
        // Without credentials, or with a request that cannot be made.
        SdkError::ConstructionFailure(_) => (ModelFault::Refused, DisplayErrorContext(error).to_string()),
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            (ModelFault::Refused, DisplayErrorContext(error).to_string())
        }
        SdkError::TimeoutError(_) => (ModelFault::TimedOut, "no answer in time".to_owned()),
        _ => (ModelFault::Unavailable, format!("no answer: {}", DisplayErrorContext(error))),
    };
    let id = error.request_id().map(|id| format!(" id={id}")).unwrap_or_default();
    LlmError::new(fault, context + &id)
}

/// The stream broke off.
pub(super) fn in_stream<R>(error: &SdkError<ConverseStreamOutputError, R>) -> LlmError {
    let (fault, context) = match error {
        SdkError::ServiceError(service) => {
            // It has no code: only the frame around it names it.
            let name = match service.err() {
                ConverseStreamOutputError::InternalServerException(_) => "InternalServerException",
                ConverseStreamOutputError::ModelStreamErrorException(_) => "ModelStreamErrorException",
                ConverseStreamOutputError::ServiceUnavailableException(_) => "ServiceUnavailableException",
                ConverseStreamOutputError::ThrottlingException(_) => "ThrottlingException",
                ConverseStreamOutputError::ValidationException(_) => "ValidationException",
                _ => "an unknown exception",
            };
            (exception(name), format!("{name} in the stream"))
        }
        // What lies beneath may hold bytes of the answer.
        _ => (ModelFault::Broken, "the answer broke off, or is malformed".to_owned()),
    };
    LlmError::new(fault, context)
}

fn exception(name: &str) -> ModelFault {
    match name {
        "ThrottlingException" | "TooManyRequestsException" | "ModelNotReadyException" => ModelFault::Overloaded,
        "ModelTimeoutException" => ModelFault::TimedOut,
        "ModelStreamErrorException" => ModelFault::Broken,
        "ValidationException"
        | "AccessDeniedException"
        | "ResourceNotFoundException"
        | "ServiceQuotaExceededException"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "ExpiredTokenException" => ModelFault::Refused,
        _ => ModelFault::Unavailable,
    }
}
