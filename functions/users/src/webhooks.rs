use std::collections::BTreeSet;

use axum::extract::State as Extract;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::audit::{Action, Entry};
use shared::clients::Message;
use shared::config::Reach;
use shared::error::{Error, FieldError};
use shared::http::{Json, PathId, Query};
use shared::page::{Page, PageQuery};
use shared::telemetry::Traceparent;
use shared::tenancy::{EventId, Permission, Principal, WebhookId};
use shared::webhooks::{
    Deliveries, Delivery, DeliveryStatus, Disabled, Event, EventType, InvalidSecret, MAX_WEBHOOKS, Notice, Topic,
    Webhook, WebhookSecret, Webhooks,
};
use time::OffsetDateTime;
use url::Url;
use utoipa::ToSchema;

use crate::State;

/// The longest address, in characters.
const MAX_URL: usize = 2_048;
/// Asks for a new secret instead of naming one.
const ROTATE: &str = "rotate";

/// A webhook.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct WebhookView {
    id: WebhookId,
    url: String,
    events: BTreeSet<Topic>,
    enabled: bool,
    /// Why it is disabled, if no admin wished it.
    #[schema(required)]
    disabled_reason: Option<Disabled>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

/// A webhook with its secret, if that was just set: it is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct PutWebhookAnswer {
    #[serde(flatten)]
    webhook: WebhookView,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<String>,
}

#[utoipa::path(
    get, path = "/webhooks", tag = "webhooks", operation_id = "listWebhooks",
    summary = "The webhooks of the tenant",
    params(PageQuery),
    responses((status = 200, description = "A page of them, in the order of their ids.", body = Page<WebhookView>)),
    extensions(("x-lowest-role" = json!("admin"))),
)]
pub(crate) async fn list(
    Extract(state): Extract<State>,
    principal: Principal,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<WebhookView>>, Error> {
    principal.require(Permission::Manage)?;
    let page = state.pages.read(&Webhooks::list(&principal.tenant), query.limit, query.cursor.as_deref()).await?;
    Ok(Json(Page { data: page.data.into_iter().map(view).collect(), next_cursor: page.next_cursor }))
}

#[utoipa::path(
    get, path = "/webhooks/{id}", tag = "webhooks", operation_id = "getWebhook",
    summary = "A webhook",
    params(("id" = WebhookId, Path)),
    responses((status = 200, description = "The webhook, without its secret.", body = WebhookView)),
    extensions(("x-lowest-role" = json!("admin"))),
)]
pub(crate) async fn read(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<WebhookId>,
) -> Result<Json<WebhookView>, Error> {
    principal.require(Permission::Manage)?;
    Ok(Json(view(state.webhooks.get(&principal.tenant, &id).await?)))
}

/// What a webhook is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "url": "https://example.com/hooks/ragline", "events": ["document.ready"] }))]
pub(crate) struct PutWebhook {
    /// Where events are sent: `https`, without user, password and fragment, to an address that the Internet reaches.
    #[schema(max_length = 2048, format = "uri", pattern = "^https://")]
    url: String,
    /// What it is told of; everything if it is left out.
    #[serde(default = "everything")]
    #[schema(value_type = Vec<Topic>, min_items = 1)]
    events: BTreeSet<Topic>,
    #[serde(default = "enabled")]
    enabled: bool,
    /// `rotate` for a new secret, or one of the client's own: `whsec_` and the base64 of 24 to 64 bytes. It stays if it is
    /// left out.
    #[schema(pattern = "^(rotate|whsec_[A-Za-z0-9+/]{32,86}={0,2})$")]
    secret: Option<String>,
}

fn everything() -> BTreeSet<Topic> {
    Topic::ALL.into()
}

fn enabled() -> bool {
    true
}

/// Makes a webhook, or describes one anew.
#[utoipa::path(
    put, path = "/webhooks/{id}", tag = "webhooks", operation_id = "putWebhook",
    summary = "Make a webhook, or describe one anew",
    description = "Its secret is shown when it is set, and never again.",
    params(("id" = WebhookId, Path)),
    request_body = PutWebhook,
    responses(
        (status = 200, description = "The webhook was changed.", body = PutWebhookAnswer),
        (status = 201, description = "The webhook is new.", body = PutWebhookAnswer),
        (status = 409),
    ),
    extensions(("x-lowest-role" = json!("admin"))),
)]
pub(crate) async fn put(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<String>,
    Json(body): Json<PutWebhook>,
) -> Result<(StatusCode, Json<PutWebhookAnswer>), Error> {
    principal.require(Permission::Manage)?;
    let id: WebhookId = id.parse().map_err(|rule| Error::field("id", format!("{rule}")))?;
    let (url, secret) = checked(&body, state.reach)?;
    let (tenant, now) = (&principal.tenant, OffsetDateTime::now_utc());
    let mut all = state.webhooks.all(tenant).await?;
    let known = all.iter().position(|webhook| webhook.id == id).map(|place| all.swap_remove(place));
    let status = if known.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let (mut webhook, shown) = match (known, secret) {
        (None, _) if all.len() >= MAX_WEBHOOKS => {
            return Err(Error::Conflict("The tenant has as many webhooks as it may."));
        }
        (None, secret) => {
            let secret = secret.map_or_else(WebhookSecret::new, Secret::value)?;
            (Webhook::new(tenant, id, &secret, &state.secrets, now)?, Some(secret))
        }
        (Some(mut webhook), None) => {
            webhook.renew_seal(tenant, &state.secrets)?;
            (webhook, None)
        }
        (Some(mut webhook), Some(secret)) => {
            let secret = secret.value()?;
            // The same one again would end the one before it too early.
            if webhook.secrets(tenant, &state.secrets, now).first() != Some(&secret) {
                webhook.rotate(tenant, &secret, &state.secrets, now)?;
            }
            (webhook, Some(secret))
        }
    };
    webhook.url = url.to_string();
    webhook.events = body.events;
    webhook.enabled = body.enabled;
    webhook.disabled_reason = None;
    webhook.updated_at = now;
    // Of the address the host only: the rest may hold a password.
    let detail = json!({
        "origin": url.origin().ascii_serialization(), "events": webhook.events, "enabled": webhook.enabled,
        "secret": if shown.is_some() { "set" } else { "kept" },
    });
    let entry = Entry::new(&principal, Action::PutWebhook, &webhook.id, detail);
    let answer = PutWebhookAnswer { webhook: view(webhook.clone()), secret: shown.map(|secret| secret.reveal()) };
    state.webhooks.put(tenant, webhook, &entry).await?;
    Ok((status, Json(answer)))
}

#[utoipa::path(
    delete, path = "/webhooks/{id}", tag = "webhooks", operation_id = "deleteWebhook",
    summary = "Delete a webhook",
    params(("id" = WebhookId, Path)),
    responses((status = 204, description = "Nothing more is sent to it.")),
    extensions(("x-lowest-role" = json!("admin"))),
)]
pub(crate) async fn delete(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<WebhookId>,
) -> Result<StatusCode, Error> {
    principal.require(Permission::Manage)?;
    let entry = Entry::new(&principal, Action::DeleteWebhook, &id, json!({}));
    state.webhooks.delete(&principal.tenant, &id, &entry).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(
    get, path = "/webhooks/{id}/deliveries", tag = "webhooks", operation_id = "listDeliveries",
    summary = "What a webhook was told in the last 30 days, newest first",
    params(("id" = WebhookId, Path), PageQuery),
    responses((status = 200, description = "A page of it.", body = Page<Delivery>)),
    extensions(("x-lowest-role" = json!("admin"))),
)]
pub(crate) async fn deliveries(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<WebhookId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Delivery>>, Error> {
    principal.require(Permission::Manage)?;
    let webhook = state.webhooks.get(&principal.tenant, &id).await?;
    let list = Deliveries::list(&principal.tenant, webhook.registration);
    Ok(Json(state.pages.read(&list, query.limit, query.cursor.as_deref()).await?))
}

/// Sends an event that says nothing, on the way that all go.
#[utoipa::path(
    post, path = "/webhooks/{id}/test", tag = "webhooks", operation_id = "testWebhook",
    summary = "Send an event `webhook.test` to a webhook",
    params(("id" = WebhookId, Path)),
    responses(
        (status = 202, description = "It will be delivered; the list of deliveries says how it went.", body = Delivery),
        (status = 409),
    ),
    extensions(("x-lowest-role" = json!("admin"))),
)]
pub(crate) async fn test(
    Extract(state): Extract<State>,
    principal: Principal,
    PathId(id): PathId<WebhookId>,
) -> Result<(StatusCode, Json<Delivery>), Error> {
    principal.require(Permission::Manage)?;
    let webhook = state.webhooks.get(&principal.tenant, &id).await?;
    if !webhook.enabled {
        return Err(Error::Conflict("The webhook is disabled."));
    }
    let event = Event {
        id: EventId::new(),
        kind: EventType::WebhookTest,
        at: OffsetDateTime::now_utc(),
        document_id: None,
        data: json!({ "webhook": id }),
    };
    let delivery = Delivery {
        id: event.id,
        event: event.kind,
        document_id: None,
        status: DeliveryStatus::Pending,
        attempts: Vec::new(),
        next_attempt_at: Some(event.at),
    };
    let trace = Traceparent::current();
    let notice =
        Notice { tenant: principal.tenant.clone(), webhook: id, registration: webhook.registration, event, trace };
    let body = serde_json::to_string(&notice).map_err(Error::internal)?;
    state.webhook_queue.send(Message::new(&principal.tenant, body)).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery)))
}

/// The secret that somebody wishes.
enum Secret {
    New,
    Own(WebhookSecret),
}

impl Secret {
    fn value(self) -> Result<WebhookSecret, Error> {
        match self {
            Self::New => WebhookSecret::new(),
            Self::Own(secret) => Ok(secret),
        }
    }
}

fn checked(body: &PutWebhook, reach: Reach) -> Result<(Url, Option<Secret>), Error> {
    let mut errors = Vec::new();
    let url = match Url::parse(&body.url) {
        _ if body.url.chars().count() > MAX_URL => Err(format!("must have at most {MAX_URL} characters")),
        Err(_) => Err("must be an address that begins with https://".to_owned()),
        Ok(url) => reach.fault(&url).map_or(Ok(url), |fault| Err(fault.to_owned())),
    };
    let url = url.map_err(|fault| errors.push(FieldError::new("/url", fault))).ok();
    if body.events.is_empty() {
        errors.push(FieldError::new("/events", "must name at least one"));
    }
    let secret = match body.secret.as_deref() {
        None => Ok(None),
        Some(ROTATE) => Ok(Some(Secret::New)),
        Some(text) => text.parse().map(|secret| Some(Secret::Own(secret))),
    };
    let secret = secret.unwrap_or_else(|rule: InvalidSecret| {
        errors.push(FieldError::new("/secret", format!("{rule}, or {ROTATE}")));
        None
    });
    match url {
        Some(url) if errors.is_empty() => Ok((url, secret)),
        _ => Err(Error::Invalid(errors)),
    }
}

fn view(webhook: Webhook) -> WebhookView {
    WebhookView {
        id: webhook.id,
        url: webhook.url,
        events: webhook.events,
        enabled: webhook.enabled,
        disabled_reason: webhook.disabled_reason,
        created_at: webhook.created_at,
        updated_at: webhook.updated_at,
    }
}
