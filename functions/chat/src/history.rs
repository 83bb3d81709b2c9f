use axum::extract::State as Extract;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::error::Error;
use shared::http::{Json, PathId, Query};
use shared::page::{Limit, Page};
use shared::tenancy::{ConversationId, Principal};

use crate::State;
use crate::conversations::{Conversation, Message};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<String>,
}

pub(crate) async fn list(
    Extract(state): Extract<State>,
    principal: Principal,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Conversation>>, Error> {
    Ok(Json(state.conversations.list(&principal, query.limit, query.cursor.as_deref()).await?))
}

#[derive(Serialize)]
pub(crate) struct WithMessages {
    #[serde(flatten)]
    conversation: Conversation,
    messages: Vec<Message>,
    next_cursor: Option<String>,
}

/// A conversation with a page of its messages, oldest first.
pub(crate) async fn read(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<ConversationId>,
    Query(query): Query<ListQuery>,
) -> Result<Json<WithMessages>, Error> {
    let conversation = state.conversations.get(&principal, id).await?;
    let page = state.conversations.messages(&principal, id, query.limit, query.cursor.as_deref()).await?;
    Ok(Json(WithMessages { conversation, messages: page.data, next_cursor: page.next_cursor }))
}

pub(crate) async fn delete(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<ConversationId>,
) -> Result<StatusCode, Error> {
    state.conversations.get(&principal, id).await?;
    state.conversations.delete(&principal, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
