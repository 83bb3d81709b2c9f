use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use shared::embed::Models;
use shared::error::Error;
use shared::http::Json;

/// `POST /v1/embeddings` after OpenAI, so that functions in other processes use the same model.
pub(crate) fn router(models: Models) -> Router {
    Router::new().route("/v1/embeddings", post(embed)).with_state(models)
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    model: String,
    input: Vec<String>,
}

#[derive(Serialize)]
struct Answer {
    object: &'static str,
    model: String,
    data: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    object: &'static str,
    index: usize,
    embedding: Vec<f32>,
}

async fn embed(State(models): State<Models>, Json(request): Json<Request>) -> Result<Json<Answer>, Error> {
    let named = models.all().find(|model| model.embedder.model() == request.model);
    let embedder = &named.unwrap_or(&models.current).embedder;
    let vectors = embedder.embed(&request.input).await?;
    let data = vectors
        .into_iter()
        .enumerate()
        .map(|(index, embedding)| Entry { object: "embedding", index, embedding })
        .collect();
    Ok(Json(Answer { object: "list", model: embedder.model().to_owned(), data }))
}
