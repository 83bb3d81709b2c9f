use axum::extract::State as Extract;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::error::Error;
use shared::http::{Json, PathId, Query};
use shared::page::{Page, PageQuery};
use shared::tenancy::{ConversationId, Principal};
use utoipa::ToSchema;

use crate::State;
use crate::conversations::{Conversation, Message};

/// The longest title, in characters.
const MAX_TITLE: usize = 200;

#[utoipa::path(
    get, path = "/conversations", tag = "conversations", operation_id = "listConversations",
    summary = "The caller's conversations, newest first",
    params(PageQuery),
    responses((status = 200, description = "A page of them.", body = Page<Conversation>)),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn list(
    Extract(state): Extract<State>,
    principal: Principal,
    Query(query): Query<PageQuery>,
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
    params(("id" = ConversationId, Path), PageQuery),
    responses((status = 200, description = "The conversation.", body = WithMessages)),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn read(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<ConversationId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<WithMessages>, Error> {
    let conversation = state.conversations.get(&principal, id).await?;
    let page = state.conversations.messages(&principal, id, query.limit, query.cursor.as_deref()).await?;
    Ok(Json(WithMessages { conversation, messages: page.data, next_cursor: page.next_cursor }))
}

/// Another title.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Retitle, example = json!({ "title": "What ducks eat" }))]
pub(crate) struct Retitle {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    title: String,
}

#[utoipa::path(
    patch, path = "/conversations/{id}", tag = "conversations", operation_id = "changeConversation",
    summary = "Give a conversation of the caller another title",
    params(("id" = ConversationId, Path)),
    request_body = Retitle,
    responses((status = 200, description = "The conversation.", body = Conversation)),
    extensions(("x-lowest-role" = json!("viewer"))),
)]
pub(crate) async fn change(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<ConversationId>,
    Json(Retitle { title }): Json<Retitle>,
) -> Result<Json<Conversation>, Error> {
    if title.trim().is_empty() || title.chars().count() > MAX_TITLE {
        return Err(Error::field("/title", format!("must have 1 to {MAX_TITLE} characters")));
    }
    Ok(Json(state.conversations.rename(&principal, id, &title).await?))
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
