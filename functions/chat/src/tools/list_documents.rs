use serde::Deserialize;
use serde_json::Value;
use shared::documents::{Document, DocumentFilter};
use shared::page::Limit;
use shared::tenancy::CollectionId;
use utoipa::ToSchema;

use super::{Failure, Findings, Tool, Toolbox, arguments};

pub(super) const NAME: &str = "list_documents";

pub(super) const TOOL: Tool = Tool {
    name: NAME,
    description: "Lists the documents, newest first: their ids, names, collections, sizes and metadata.",
    parameters: arguments::schema::<ListDocuments>,
};

/// The most pages that one call looks through for a document that it may show.
const PAGES: usize = 5;

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
        let (mut lines, mut cursor) = (Vec::new(), asked.cursor);
        // Of a page, all may be documents that the question is not about.
        for _ in 0..PAGES {
            let page = self.pages.read(&list, Limit::default(), cursor.as_deref()).await?;
            lines.extend(page.data.iter().filter(|document| self.scope.holds(document)).map(line));
            cursor = page.next_cursor;
            if cursor.is_none() || !lines.is_empty() {
                break;
            }
        }
        let note = match cursor {
            Some(cursor) => format!("There may be more; list them with the cursor {cursor}"),
            None if lines.is_empty() => "There are no documents.".to_owned(),
            None => String::new(),
        };
        Ok(Findings { data: lines.join("\n"), note, ..Findings::default() })
    }
}

fn line(document: &Document) -> String {
    let Document { id, filename, collection, chunk_count, updated_at, metadata, .. } = document;
    let changed = updated_at.date();
    let facts = format!("collection {collection}, {chunk_count} passages, changed {changed}");
    if metadata.is_empty() {
        return format!("{id} {filename} ({facts})");
    }
    format!("{id} {filename} ({facts}, metadata {})", Value::Object(metadata.clone()))
}
