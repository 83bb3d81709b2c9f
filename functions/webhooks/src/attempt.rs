use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use shared::clients::Unanswered;
use shared::error::Error;
use shared::webhooks::{Attempt, Notice, Reason, Webhook, WebhookSecret};
use time::OffsetDateTime;
use url::Url;

use crate::State;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Tries once to tell a webhook of an event.
pub(crate) async fn make(state: &State, webhook: &Webhook, notice: &Notice) -> Result<Attempt, Error> {
    let at = (state.clock)();
    let not_sent = |reason| Ok(Attempt { at, http_status: None, reason: Some(reason) });
    if !webhook.enabled {
        return not_sent(Reason::WebhookDisabled);
    }
    let secrets = webhook.secrets(&notice.tenant, &state.secrets, at);
    if secrets.is_empty() {
        return not_sent(Reason::SecretLost);
    }
    let Ok(url) = Url::parse(&webhook.url) else { return not_sent(Reason::AddressNotAllowed) };
    let body = notice.event.body()?;
    let headers = headers(&notice.event.id.to_string(), at, &secrets, &body)?;
    let (http_status, reason) = match state.outside.post(&url, headers, body).await {
        Ok(status) if status.is_redirection() => (Some(status), Some(Reason::Redirected)),
        Ok(http::StatusCode::GONE) => (Some(http::StatusCode::GONE), Some(Reason::Gone)),
        Ok(status) => (Some(status), None),
        Err(Unanswered::NotAllowed) => (None, Some(Reason::AddressNotAllowed)),
        Err(Unanswered::HostNotFound) => (None, Some(Reason::HostNotFound)),
        Err(Unanswered::TimedOut) => (None, Some(Reason::TimedOut)),
        Err(Unanswered::Failed) => (None, Some(Reason::ConnectionFailed)),
    };
    Ok(Attempt { at, http_status: http_status.map(|status| status.as_u16()), reason })
}

/// The time is that of the attempt: receivers refuse what was signed long ago, since somebody may have kept it.
fn headers(id: &str, at: OffsetDateTime, secrets: &[WebhookSecret], body: &[u8]) -> Result<HeaderMap, Error> {
    let timestamp = at.unix_timestamp();
    let signatures: Vec<_> = secrets.iter().map(|secret| secret.sign(id, timestamp, body)).collect();
    let value = |text: &str| HeaderValue::from_str(text).map_err(Error::internal);
    Ok(HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ID, value(id)?),
        (TIMESTAMP, value(&timestamp.to_string())?),
        (SIGNATURE, value(&signatures.join(" "))?),
    ]))
}
