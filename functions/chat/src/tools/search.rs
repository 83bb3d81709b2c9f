use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use shared::door::{self, Worked};
use shared::embed::estimated_tokens;
use shared::error::Error;
use shared::retrieval::{Filter, Passage, SearchQuery};
use shared::tenancy::CollectionId;
use utoipa::ToSchema;

use super::{Failure, Findings, Tool, Toolbox, arguments};

pub(super) const NAME: &str = "search";

pub(super) const TOOL: Tool = Tool {
    name: NAME,
    description: "Finds the passages of the documents that are nearest to a query, by meaning and by words. Ask for one thing at \
        a time; exact names, numbers and codes are found as well.",
    parameters: arguments::schema::<Search>,
};

/// Passages that a search finds.
const PASSAGES: usize = 8;
/// The longest query, in characters.
const MAX_QUERY: usize = 8_000;

/// How long what was found is found again without a search, if nothing changes.
const KEEP: Duration = Duration::from_mins(1);

const NOTHING: &str = "Nothing was found.";

/// What to look for.
#[derive(Debug, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    /// A question or words, in the language of the documents.
    #[schema(min_length = 1, max_length = 8000)]
    query: String,
    /// Only in these collections; in all if left out.
    #[serde(default)]
    #[schema(inline)]
    collections: Option<Vec<CollectionId>>,
    /// Only in documents whose metadata passes, such as `{"type": "gte", "key": "year", "value": 2025}`. The type is `eq`, `ne`,
    /// `gt`, `gte`, `lt` or `lte`; `in` or `nin`, with a list as value; or `and` or `or`, with a list of `filters` instead of key
    /// and value. `list_documents` shows the metadata.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    filters: Option<Map<String, Value>>,
}

impl Toolbox {
    pub(super) async fn search(&self, Search { query, collections, filters }: Search) -> Result<Findings, Failure> {
        if query.trim().is_empty() || query.chars().count() > MAX_QUERY {
            return Err(Failure::Wrong(format!("The query must have 1 to {MAX_QUERY} characters.")));
        }
        let filters = filters.map(|filters| Filter::parse(&Value::Object(filters), "filters")).transpose();
        let filter = self.scope.filter(filters.map_err(Error::Invalid)?);
        let collections = self.scope.narrowed(collections)?;
        if collections.is_empty() {
            // To the retriever, none would be all.
            return Ok(Findings { note: NOTHING.to_owned(), ..Findings::default() });
        }
        let query = SearchQuery { collections, filter, limit: PASSAGES, ..SearchQuery::new(query) };
        let mut passages = self.recalled(&query).await?;
        let mut taken = 0;
        let fit = passages.iter().take_while(|passage| {
            taken += estimated_tokens(&passage.text);
            taken <= self.result_tokens
        });
        let (fit, found) = (fit.count().max(1), passages.len());
        passages.truncate(fit);
        let note = match found - passages.len() {
            _ if found == 0 => NOTHING.to_owned(),
            0 => String::new(),
            left => format!("{left} more passages were left out, since the result became too long."),
        };
        Ok(Findings { passages, note, ..Findings::default() })
    }
    /// The passages for a query, which names its collections.
    async fn recalled(&self, query: &SearchQuery) -> Result<Vec<Passage>, Error> {
        // All there is of a query, so that nothing can be forgotten which an answer depends on.
        let about = format!("{query:?}");
        let search = || async {
            let found = self.retriever.find(self.scope.principal(), query).await?;
            let value = found.passages.into_iter().map(|found| found.passage).collect();
            Ok(Worked { value, lasts: !found.rerank_failed })
        };
        self.recall.or_work(door::Scope::Search, &about, KEEP, search).await
    }
}
