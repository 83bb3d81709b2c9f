use serde::Deserialize;
use shared::documents::{Document, DocumentFilter};
use shared::page::Limit;
use shared::tenancy::CollectionId;
use utoipa::ToSchema;

use super::{Failure, Findings, Tool, Toolbox, arguments};

pub(super) const NAME: &str = "list_documents";

pub(super) const TOOL: Tool = Tool {
    name: NAME,
    description: "Lists the documents, newest first: their ids, names, collections and sizes.",
    parameters: arguments::schema::<ListDocuments>,
};

/// Which documents.
#[derive(Debug, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListDocuments {
    /// Only in this collection; in all if left out.
    #[serde(default)]
    #[schema(inline)]
    collection: Option<CollectionId>,
    /// The cursor that the list before ended with, for what comes behind it.
    #[serde(default)]
    cursor: Option<String>,
}

impl Toolbox {
    pub(super) async fn list_documents(&self, asked: ListDocuments) -> Result<Findings, Failure> {
        let within = self.scope.narrowed(asked.collection.map(|collection| vec![collection]))?;
        let filter = DocumentFilter { within: Some(within), ..DocumentFilter::default() };
        let list = filter.list(&self.scope.principal().tenant);
        let page = self.pages.read(&list, Limit::default(), asked.cursor.as_deref()).await?;
        let line = |document: &Document| {
            format!(
                "{} {} (collection {}, {} passages, changed {})",
                document.id,
                document.filename,
                document.collection,
                document.chunk_count,
                document.updated_at.date()
            )
        };
        let data =
            page.data.iter().filter(|document| self.scope.holds(document)).map(line).collect::<Vec<_>>().join("\n");
        let note = match page.next_cursor {
            _ if page.data.is_empty() => "There are no documents.".to_owned(),
            Some(cursor) => format!("There are more; list them with the cursor {cursor}"),
            None => String::new(),
        };
        Ok(Findings { data, note, ..Findings::default() })
    }
}
