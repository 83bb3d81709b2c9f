use axum::extract::State as Extract;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::error::Error;
use shared::http::{Json, PathId, Query};
use shared::page::{Limit, Page};
use shared::tenancy::{ConversationId, Principal};
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::conversations::{Conversation, Message};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    #[serde(default)]
    #[param(inline)]
    limit: Limit,
    /// Where the page begins: `next_cursor` of the page before.
    #[param(pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

#[utoipa::path(
    get, path = "/conversations", tag = "conversations", operation_id = "listConversations",
    summary = "The caller's conversations, newest first",
    params(ListQuery),
    responses((status = 200, description = "A page of them.", body = Page<Conversation>)),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn list(
    Extract(state): Extract<State>,
    principal: Principal,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Conversation>>, Error> {
    Ok(Json(state.conversations.list(&principal, query.limit, query.cursor.as_deref()).await?))
}

/// A conversation with a page of its messages.
#[derive(Serialize, ToSchema)]
#[schema(as = ConversationWithMessages)]
pub(crate) struct WithMessages {
    #[serde(flatten)]
    conversation: Conversation,
    messages: Vec<Message>,
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A conversation with a page of its messages, oldest first.
#[utoipa::path(
    get, path = "/conversations/{id}", tag = "conversations", operation_id = "getConversation",
    summary = "A conversation of the caller, oldest message first",
    params(("id" = ConversationId, Path), ListQuery),
    responses((status = 200, description = "The conversation.", body = WithMessages)),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
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

#[utoipa::path(
    delete, path = "/conversations/{id}", tag = "conversations", operation_id = "deleteConversation",
    summary = "Delete a conversation of the caller",
    params(("id" = ConversationId, Path)),
    responses((status = 204, description = "It is gone.")),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn delete(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<ConversationId>,
) -> Result<StatusCode, Error> {
    state.conversations.get(&principal, id).await?;
    state.conversations.delete(&principal, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
