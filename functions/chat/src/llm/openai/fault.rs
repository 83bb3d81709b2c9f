use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use reqwest::Response;
use serde_json::Value;
use shared::error::ModelFault;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::Field;
use crate::llm::LlmError;

/// As much of an error is read.
const MAX_ERROR: usize = 64 * 1024;
/// The longest word of a provider that goes into the log.
const MAX_WORD: usize = 64;
/// The longest time to wait that is believed.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// A request that was not begun to be answered.
pub(super) struct Failure {
    pub(super) error: LlmError,
    /// Whether it makes sense to ask again soon.
    pub(super) temporary: bool,
    /// The field that the server does not take.
    pub(super) refused: Option<Field>,
}

impl Failure {
    /// There was no status.
    pub(super) fn unanswered(error: &reqwest::Error) -> Self {
        let context = format!("no answer: {}", cause(error));
        Self { error: LlmError::new(ModelFault::Unavailable, context), temporary: true, refused: None }
    }

    /// There was a status that is no success.
    pub(super) async fn refused(mut response: Response) -> Self {
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        while let Ok(Some(bytes)) = response.chunk().await {
            body.extend_from_slice(&bytes[..bytes.len().min(MAX_ERROR - body.len())]);
            if body.len() == MAX_ERROR {
                break;
            }
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        Self::of(status, &headers, body.get("error").unwrap_or(&body))
    }

    fn of(status: StatusCode, headers: &HeaderMap, error: &Value) -> Self {
        let spent = said(error, "code") == "insufficient_quota" || said(error, "type") == "insufficient_quota";
        let fault = match status.as_u16() {
            408 => ModelFault::TimedOut,
            429 if spent => ModelFault::Refused,
            // 529 is Anthropic's.
            429 | 503 | 529 => ModelFault::Overloaded,
            500.. => ModelFault::Unavailable,
            _ => ModelFault::Refused,
        };
        let mut context = format!("status {}", status.as_u16());
        context.push_str(&words(error));
        if let Some(id) = headers.get("x-request-id").and_then(|id| id.to_str().ok()) {
            context.push_str(" id=");
            context.push_str(&word(id));
        }
        Self {
            error: LlmError { retry_after: retry_after(headers), ..LlmError::new(fault, context) },
            temporary: fault != ModelFault::Refused,
            refused: refused_field(status, error),
        }
    }
}

/// What is at the bottom of an error. What lies above names the address, which may hold a key.
pub(super) fn cause(error: &reqwest::Error) -> &dyn Error {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}

/// What a provider sends in the stream in place of a chunk.
pub(super) fn in_stream(error: &Value) -> LlmError {
    let kinds = [said(error, "code"), said(error, "type")].map(str::to_lowercase);
    let status = error["code"].as_u64();
    let is = |status_code: u64, word: &str| status == Some(status_code) || kinds.iter().any(|kind| kind.contains(word));
    let fault = if is(429, "rate_limit") || is(529, "overloaded") || status == Some(503) {
        ModelFault::Overloaded
    } else if is(400, "invalid_request") || is(403, "content_filter") {
        ModelFault::Refused
    } else {
        ModelFault::Unavailable
    };
    LlmError::new(fault, format!("an error in the stream{}", words(error)))
}

/// The words in an error that name its kind. Its message stays out: it may quote the prompt.
fn words(error: &Value) -> String {
    let mut words = String::new();
    for name in ["type", "code", "param"] {
        let value = &error[name];
        let text = value.as_str().map(word).or_else(|| value.as_u64().map(|code| code.to_string()));
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            let _ = write!(words, " {name}={text}");
        }
    }
    words
}

fn word(text: &str) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "_-.[]:/".contains(*c);
    text.chars().filter(allowed).take(MAX_WORD).collect()
}

fn said<'a>(error: &'a Value, name: &str) -> &'a str {
    error[name].as_str().unwrap_or_default()
}

fn refused_field(status: StatusCode, error: &Value) -> Option<Field> {
    if !matches!(status.as_u16(), 400 | 422) {
        return None;
    }
    let (param, message) = (said(error, "param"), error.as_str().unwrap_or_else(|| said(error, "message")));
    if param == "max_tokens" && message.contains("max_completion_tokens") {
        return Some(Field::MaxTokens);
    }
    (param == "stream_options" || message.contains("stream_options")).then_some(Field::StreamOptions)
}

/// When to try again (RFC 9110, 10.2.3), or by the header that OpenAI and Azure send beside it, in milliseconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = |text: &str, unit: f64| Duration::try_from_secs_f64(text.parse::<f64>().ok()? / unit).ok();
    let wait = text("retry-after-ms").and_then(|text| seconds(text, 1000.0)).or_else(|| {
        let text = text("retry-after")?;
        seconds(text, 1.0).or_else(|| {
            let at = OffsetDateTime::parse(text, &Rfc2822).ok()?;
            Some((at - OffsetDateTime::now_utc()).try_into().unwrap_or(Duration::ZERO))
        })
    });
    wait.map(|wait| wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn failure(status: u16, headers: &[(&'static str, &str)], error: &Value) -> Failure {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Failure::of(StatusCode::from_u16(status).unwrap(), &headers, error)
    }

    #[test]
    fn a_status_becomes_a_fault() {
        for (status, code, fault, temporary) in [
            (400, "context_length_exceeded", ModelFault::Refused, false),
            (401, "invalid_api_key", ModelFault::Refused, false),
            (404, "model_not_found", ModelFault::Refused, false),
            (429, "rate_limit_exceeded", ModelFault::Overloaded, true),
            (429, "insufficient_quota", ModelFault::Refused, false),
            (500, "server_error", ModelFault::Unavailable, true),
            (503, "", ModelFault::Overloaded, true),
            (529, "overloaded_error", ModelFault::Overloaded, true),
        ] {
            let failure = failure(status, &[], &json!({ "code": code, "message": "what the user asked" }));
            assert_eq!((failure.error.fault, failure.temporary), (fault, temporary), "{status} {code}");
            let context = failure.error.context;
            assert!(context.contains(code) && !context.contains("asked"), "{context}");
        }
    }

    #[test]
    fn the_time_to_wait_is_read_in_all_its_forms() {
        let wait = |headers: &[(&'static str, &str)]| failure(429, headers, &Value::Null).error.retry_after;
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(wait(&[("retry-after", "1"), ("retry-after-ms", "250")]), Some(Duration::from_millis(250)));
        assert_eq!(wait(&[("retry-after", "1e300")]), None);
        assert_eq!(wait(&[("retry-after", "99999999")]), Some(LONGEST_WAIT));
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")]), Some(Duration::ZERO));
        let later = (OffsetDateTime::now_utc() + Duration::from_mins(1)).format(&Rfc2822).unwrap();
        let wait = wait(&[("retry-after", &later)]).unwrap();
        assert!((58..=60).contains(&wait.as_secs()), "{wait:?}");
    }

    #[test]
    fn a_field_that_the_server_does_not_take_is_known() {
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. \
                       Use 'max_completion_tokens' instead.";
        let reasoning = json!({ "message": message, "param": "max_tokens", "code": "unsupported_parameter" });
        assert_eq!(failure(400, &[], &reasoning).refused, Some(Field::MaxTokens));
        let old = json!({ "message": "Unrecognized request argument supplied: stream_options" });
        assert_eq!(failure(400, &[], &old).refused, Some(Field::StreamOptions));
        let other = json!({ "message": "max_tokens is too large: 9", "param": "max_tokens" });
        assert_eq!(failure(400, &[], &other).refused, None);
        assert_eq!(failure(500, &[], &old).refused, None);
    }

    #[test]
    fn an_error_in_the_stream_becomes_a_fault() {
        for (error, fault) in [
            (json!({ "type": "server_error" }), ModelFault::Unavailable),
            (json!({ "code": 429, "message": "slow down" }), ModelFault::Overloaded),
            (json!({ "type": "overloaded_error" }), ModelFault::Overloaded),
            (json!({ "code": "rate_limit_exceeded" }), ModelFault::Overloaded),
            (json!({ "type": "invalid_request_error" }), ModelFault::Refused),
            (json!("llama runner process has terminated"), ModelFault::Unavailable),
        ] {
            assert_eq!(in_stream(&error).fault, fault, "{error}");
        }
    }
}
