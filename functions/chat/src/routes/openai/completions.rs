use async_stream::stream;
use axum::extract::State as Extract;
use axum::response::sse::Event as Frame;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use http::StatusCode;
use shared::error::Error;
use shared::http::LongJson;
use shared::tenancy::Principal;

use super::request::Request;
use super::{Refusal, links, models};
use crate::State;
use crate::dialect;
use crate::dialect::openai::{Completion, Encoder, ErrorBody};
use crate::event::Event;
use crate::run::{self, Ask, Caller, Started};
use crate::tools::Within;

#[utoipa::path(
    post, path = "/openai/v1/chat/completions", tag = "openai", operation_id = "createChatCompletion",
    summary = "Ask a question, by OpenAI's clients",
    description = "The conversation is the request's; nothing of it is stored. Citations are annotations with addresses of the \
        originals that are good for some minutes. With `stream` the answer comes in chunks, as server-sent events.",
    request_body = Request,
    responses(
        (status = 200, description = "The answer.", content(
            (Completion = "application/json"),
            (dialect::Data = "text/event-stream"),
        )),
        (status = 404),
    ),
    extensions(("x-lowest-role" = json!("viewer")), ("x-problem-schema" = json!("OpenaiError"))),
)]
pub(crate) async fn complete(
    Extract(state): Extract<State>,
    caller: Caller,
    LongJson(mut request): LongJson<Request>,
) -> Result<Response, Error> {
    let model = request.model.clone();
    let Some(collections) = models::collections(&model, &caller.principal) else { return Ok(no_such_model(&model)) };
    let whole = !request.stream.unwrap_or_default();
    let include_usage = request.stream_options.as_ref().and_then(|options| options.include_usage).unwrap_or_default();
    let within = Within { collections, filters: request.filters.take() };
    let (principal, question) = (caller.principal.clone(), request.question()?);
    let started = run::begin(&state, caller, Ask { question, within }).await?;
    let encoder = Encoder::new(model, include_usage);
    if !whole {
        return Ok(dialect::stream(frames(state, principal, encoder, started)));
    }
    collect(&state, &principal, encoder, started).await
}

fn frames(
    state: State,
    principal: Principal,
    mut encoder: Encoder,
    Started { mut events, .. }: Started,
) -> impl Stream<Item = Frame> {
    stream! {
        while let Some((_, event)) = events.next().await {
            if matches!(event, Event::Done { .. }) {
                annotate(&state, &principal, &mut encoder).await;
            }
            for chunk in encoder.encode(event) {
                yield dialect::frame(&chunk);
            }
        }
        yield dialect::end();
    }
}

/// The answer in one piece. A failure is a status here, since nothing was sent yet.
async fn collect(
    state: &State,
    principal: &Principal,
    mut encoder: Encoder,
    Started { mut events, .. }: Started,
) -> Result<Response, Error> {
    let mut failure = None;
    while let Some((_, event)) = events.next().await {
        match event {
            Event::Error(problem) => failure = Some(problem),
            event => encoder.take(event),
        }
    }
    if let Some(problem) = failure {
        let body = axum::Json(Refusal::of(&problem));
        // What the boundary would make of it, in OpenAI's words.
        let mut response = problem.into_response();
        *response.body_mut() = body.into_response().into_body();
        return Ok(response);
    }
    annotate(state, principal, &mut encoder).await;
    Ok(axum::Json(encoder.whole()).into_response())
}

/// Adds the addresses of what was cited. An answer without is better than none.
async fn annotate(state: &State, principal: &Principal, encoder: &mut Encoder) {
    match links::links(&state.documents, &state.content_urls, principal, encoder.cited()).await {
        Ok(links) => encoder.annotate(&links),
        Err(error) => tracing::warn!(%error, "an answer has no annotations"),
    }
}

fn no_such_model(model: &str) -> Response {
    (StatusCode::NOT_FOUND, axum::Json(Refusal { error: ErrorBody::no_such_model(model) })).into_response()
}
