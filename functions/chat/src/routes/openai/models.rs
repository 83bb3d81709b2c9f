use serde::Serialize;
use shared::error::Error;
use shared::http::Json;
use shared::tenancy::{CollectionId, Principal};
use utoipa::ToSchema;

/// What names the model that answers from all collections, and what the names of the others begin with.
const ALL: &str = "ragline";

/// The models: one for all collections, and one for each.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenaiModels)]
pub(crate) struct Models {
    /// `list`
    object: &'static str,
    data: Vec<Model>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OpenaiModel)]
struct Model {
    /// `ragline`, or `ragline/` and the id of a collection.
    id: String,
    /// `model`
    object: &'static str,
    /// Clients want a time; nobody knows of one.
    created: u64,
    owned_by: String,
}

#[utoipa::path(
    get, path = "/openai/v1/models", tag = "openai", operation_id = "listModels",
    summary = "The collections that can be asked, as models",
    responses((status = 200, description = "The models.", body = Models)),
    extensions(("x-lowest-role" = json!("viewer")), ("x-problem-schema" = json!("OpenaiError"))),
)]
pub(crate) async fn list(principal: Principal) -> Result<Json<Models>, Error> {
    let names = std::iter::once(ALL.to_owned()).chain(principal.collections.keys().map(|id| format!("{ALL}/{id}")));
    let owned_by = principal.tenant.to_string();
    let model = |id| Model { id, object: "model", created: 0, owned_by: owned_by.clone() };
    Ok(Json(Models { object: "list", data: names.map(model).collect() }))
}

/// The collections that a model answers from, none for all of them; or nothing if the caller knows no such model.
pub(super) fn collections(model: &str, principal: &Principal) -> Option<Vec<CollectionId>> {
    let Some(name) = model.strip_prefix(ALL)?.strip_prefix('/') else {
        return (model == ALL).then(Vec::new);
    };
    let id: CollectionId = name.parse().ok()?;
    principal.reads(&id).then(|| vec![id])
}
