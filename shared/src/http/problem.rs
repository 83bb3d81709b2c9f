use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::boundary::PROBLEM_JSON;
use crate::error::{Error, FieldError, ModelFault};

/// A problem document (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A URI that names the kind of problem; `about:blank` where the status says it all.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The status in words.
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// A sentence for the caller.
    pub detail: String,
    /// The path of the request.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instance: String,
    /// A stable name for programs.
    pub code: Cow<'static, str>,
    /// The id to quote when asking for help.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// What was wrong with which part of the input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// When to try again, in seconds, where there is no header to say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The limits that were exceeded (draft-ietf-httpapi-ratelimit-headers).
    #[serde(rename = "violated-policies", default, skip_serializing_if = "Vec::is_empty")]
    pub violated_policies: Vec<Cow<'static, str>>,
}

/// An extension of a response whose problem, if it is one, is written as the clients of the route read it: as JSON of another
/// shape than that of a problem document.
#[derive(Debug, Clone, Copy)]
pub struct ProblemFormat(pub fn(&Problem) -> Vec<u8>);

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            detail: detail.into(),
            instance: String::new(),
            code: code.into(),
            request_id: String::new(),
            errors: Vec::new(),
            retry_after: None,
            violated_policies: Vec::new(),
        }
    }
}

impl IntoResponse for Problem {
    /// The document as it is, for a failure that was logged where it happened.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// What the caller is told of an error. The text of a 5xx says nothing of the inside.
pub fn problem_for(error: &Error) -> Problem {
    match error {
        Error::Invalid(errors) => {
            let detail = match errors.as_slice() {
                [only] => format!("{}: {}", only.pointer, only.detail),
                several => format!("{} parts of the request are invalid.", several.len()),
            };
            let mut problem = Problem::new(StatusCode::BAD_REQUEST, "invalid_request", detail);
            problem.errors.clone_from(errors);
            problem
        }
        Error::Unauthenticated(_) => {
            Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", "A valid bearer token is needed.")
        }
        Error::Forbidden { required } => Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            format!("This needs the role {} or above.", format!("{required:?}").to_lowercase()),
        ),
        Error::NotFound => Problem::new(StatusCode::NOT_FOUND, "not_found", "There is no such resource."),
        Error::BadSignature => Problem::new(
            StatusCode::FORBIDDEN,
            "bad_signature",
            "The address was altered, or is too old; ask for a new one.",
        ),
        Error::IdempotencyMismatch => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_mismatch",
            "The Idempotency-Key was used for a request with another body.",
        ),
        Error::IdempotencyInProgress { .. } => Problem::new(
            StatusCode::CONFLICT,
            "idempotency_in_progress",
            "The request with this Idempotency-Key is still being answered.",
        ),
        Error::Conflict(detail) => Problem::new(StatusCode::CONFLICT, "conflict", *detail),
        Error::TooLarge(detail) => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail),
        Error::UnsupportedMediaType { expected } => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            format!("The content type must be {expected}."),
        ),
        Error::RateLimited { violated, .. } => {
            let detail = format!("The limit of requests is reached: {}.", violated.join(", "));
            limited(StatusCode::TOO_MANY_REQUESTS, "rate_limited", violated, detail)
        }
        Error::QuotaExceeded { quota, limit } => {
            let detail = format!("The tenant stores as much as it may: the quota {quota} is {limit}.");
            limited(StatusCode::FORBIDDEN, "quota_exceeded", &[*quota], detail)
        }
        Error::TooManyIngestions { limit, .. } => {
            let detail =
                format!("The tenant may have {limit} documents in work at a time; try again when some are done.");
            limited(StatusCode::TOO_MANY_REQUESTS, "rate_limited", &["ingestions"], detail)
        }
        Error::BudgetExhausted { budget, .. } => {
            let detail = format!(
                "The tenant has no tokens left for today: the budget daily_tokens is {budget}. The day ends at midnight UTC."
            );
            limited(StatusCode::TOO_MANY_REQUESTS, "budget_exhausted", &["daily_tokens"], detail)
        }
        Error::TooManyStreams { policy, limit, .. } => {
            let detail = format!("As many answers are being made as may be at a time: the limit {policy} is {limit}.");
            limited(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", &[*policy], detail)
        }
        Error::Model { fault, .. } => of_model(*fault),
        Error::Unavailable { .. } => {
            let mut problem = Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "A part of the service is not available right now; try again shortly.",
            );
            problem.kind = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity".into();
            problem
        }
        Error::Internal(_) => internal(),
    }
}

/// The problem of a language model that did not answer.
fn of_model(fault: ModelFault) -> Problem {
    let (status, code, detail) = match fault {
        ModelFault::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "model_unavailable", "The language model is not available right now.")
        }
        ModelFault::Overloaded => {
            (StatusCode::SERVICE_UNAVAILABLE, "model_overloaded", "The language model is asked too much right now.")
        }
        ModelFault::TimedOut => {
            (StatusCode::GATEWAY_TIMEOUT, "model_timed_out", "The language model did not answer in time.")
        }
        ModelFault::Broken => {
            (StatusCode::BAD_GATEWAY, "model_broken", "The language model broke off, or said what makes no sense.")
        }
        ModelFault::Refused => (StatusCode::BAD_GATEWAY, "model_refused", "The language model refused the request."),
    };
    Problem::new(status, code, detail)
}

/// The problem of limits that are reached.
fn limited(status: StatusCode, code: &'static str, violated: &[&'static str], detail: String) -> Problem {
    let mut problem = Problem::new(status, code, detail);
    problem.kind = "https://iana.org/assignments/http-problem-types#quota-exceeded".into();
    problem.violated_policies = violated.iter().map(|policy| (*policy).into()).collect();
    problem
}

/// The problem of a status that the router itself answered with: no such route, no such method.
pub(super) fn problem_for_status(status: StatusCode) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::new(status, "not_found", "There is no such resource."),
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(status, "method_not_allowed", "The resource does not take this method.")
        }
        status if status.is_client_error() => {
            Problem::new(status, "invalid_request", "The request cannot be understood.")
        }
        _ => internal(),
    }
}

fn internal() -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "Something went wrong on our side. The request id helps us find out what.",
    )
}
