use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use shared::error::Error;
use shared::http::{PathId, Query};
use shared::tenancy::{MessageId, Principal};
use utoipa::IntoParams;

use super::native::streamed;
use crate::State;
use crate::dialect::native::Sent;
use crate::runs::Followed;

/// The header in which a browser names the last event that it saw.
const LAST_EVENT_ID: &str = "Last-Event-ID";

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct After {
    /// The id of the last event that was seen; from the beginning if it is left out. `Last-Event-ID` wins.
    #[param(pattern = "^(0|[1-9][0-9]*)$")]
    after: Option<String>,
}

#[utoipa::path(
    get, path = "/chat/{id}/stream", tag = "chat", operation_id = "resumeAnswer",
    summary = "Go on in the stream of an answer",
    description = "What came after an event, then what comes, to `done`. It is kept for ten minutes after the end.",
    params(("id" = MessageId, Path), After, ("Last-Event-ID" = Option<String>, Header)),
    responses(
        (status = 200, description = "The events.", content((Sent = "text/event-stream"))),
        (status = 204, description = "There are no more, or not all of them are there."),
    ),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn follow(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<MessageId>,
    Query(After { after }): Query<After>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    // A browser that reconnects asks for the same address again, and says in the header how far it came.
    let seen = headers.get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or("?").to_owned());
    let after = match (seen.filter(|seen| !seen.is_empty()), after) {
        (Some(seen), _) => number(LAST_EVENT_ID, &seen)?,
        (None, Some(after)) => number("after", &after)?,
        (None, None) => 0,
    };
    Ok(match state.runs.follow(&principal, id, after).await? {
        Followed::Events(events) => streamed(events),
        Followed::Nothing => StatusCode::NO_CONTENT.into_response(),
    })
}

#[utoipa::path(
    post, path = "/chat/{id}/stop", tag = "chat", operation_id = "stopAnswer",
    summary = "Stop an answer",
    description = "Its stream ends with what was said so far and the reason `stopped`. Once it has ended, nothing happens.",
    params(("id" = MessageId, Path)),
    responses((status = 202, description = "It stops, or has ended.")),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn stop(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<MessageId>,
) -> Result<StatusCode, Error> {
    state.runs.stop(&principal, id).await?;
    Ok(StatusCode::ACCEPTED)
}

fn number(name: &str, text: &str) -> Result<u64, Error> {
    text.parse().map_err(|_| Error::field(name, "must be the id of an event: a whole number"))
}
