use std::collections::HashMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;

use super::list::{List, Order, Table};
use super::{Limit, Page};
use crate::clients::DynamoDb;
use crate::error::Error;
use crate::signing::{Mac, Purpose, Signature, Signer};
use crate::tables::{Key, text};

/// Items read at a time where a filter drops most of them.
const FILTERED_PAGE: usize = 200;

/// Reads lists page by page. Clones share one client.
#[derive(Debug, Clone)]
pub struct Pages {
    dynamodb: DynamoDb,
    cursors: Mac,
}

impl Pages {
    /// Reads from this database.
    pub fn new(dynamodb: &DynamoDb, signer: &Signer) -> Self {
        Self { dynamodb: dynamodb.clone(), cursors: signer.mac(Purpose::Cursor) }
    }

    /// The page behind a cursor, or the first. A cursor that was not made for this very list is an invalid field.
    pub async fn read<T: DeserializeOwned>(
        &self,
        list: &List<T>,
        limit: Limit,
        cursor: Option<&str>,
    ) -> Result<Page<T>, Error> {
        let name = serde_json::to_vec(list).map_err(Error::internal)?;
        let mut start = cursor.map(|cursor| self.open(&name, cursor)).transpose()?;
        let limit = limit.get();
        let (mut data, mut last) = (Vec::with_capacity(limit), None);
        if list.filters.iter().any(|filter| filter.values.is_empty()) {
            return Ok(Page { data, next_cursor: None });
        }
        loop {
            let answer = self.request(list, limit, start.take()).send().await?;
            for item in answer.items.unwrap_or_default() {
                // One more than asked for tells that there is another page.
                if data.len() == limit {
                    let next_cursor = last.as_deref().map(|last| self.seal(&name, last));
                    return Ok(Page { data, next_cursor });
                }
                last = sort_key(&item);
                data.push(serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?);
            }
            start = answer.last_evaluated_key.as_ref().and_then(sort_key);
            if start.is_none() {
                return Ok(Page { data, next_cursor: None });
            }
        }
    }

    fn request<T>(&self, list: &List<T>, limit: usize, start: Option<String>) -> QueryFluentBuilder {
        let table = match list.table {
            Table::Main => &self.dynamodb.table,
            Table::Chunks => &self.dynamodb.chunks_table,
        };
        let (attribute, partition) =
            list.index.as_ref().map_or(("pk", &list.partition), |index| (index.attribute, &index.partition));
        let number = if list.filters.is_empty() { limit + 1 } else { FILTERED_PAGE };
        let mut request = self
            .dynamodb
            .client
            .query()
            .table_name(table)
            .set_index_name(list.index.as_ref().map(|index| index.name.to_owned()))
            .key_condition_expression("#partition = :partition AND begins_with(sk, :prefix)")
            .expression_attribute_names("#partition", attribute)
            .expression_attribute_values(":partition", text(partition))
            .expression_attribute_values(":prefix", text(&list.prefix))
            .scan_index_forward(list.order == Order::Ascending)
            // An index cannot be read consistently; the table can, so that what was just made is in its list.
            .consistent_read(list.index.is_none())
            .limit(i32::try_from(number).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start.map(|sk| start_key(list, sk)));
        let mut conditions = Vec::new();
        for (f, filter) in list.filters.iter().enumerate() {
            request = request.expression_attribute_names(format!("#filter{f}"), filter.attribute);
            let names = (0..filter.values.len()).map(|v| format!(":value{f}_{v}")).collect::<Vec<_>>();
            for (name, value) in names.iter().zip(&filter.values) {
                request = request.expression_attribute_values(name, text(value));
            }
            conditions.push(format!("#filter{f} IN ({})", names.join(", ")));
        }
        if !conditions.is_empty() {
            request = request.filter_expression(conditions.join(" AND "));
        }
        if !list.attributes.is_empty() {
            let mut projection = vec!["sk".to_owned()];
            for (a, attribute) in list.attributes.iter().enumerate() {
                request = request.expression_attribute_names(format!("#attribute{a}"), *attribute);
                projection.push(format!("#attribute{a}"));
            }
            request = request.projection_expression(projection.join(", "));
        }
        request
    }

    /// The word that stands for a place in a list. The same place is always the same word, or no page but the first could
    /// be found in the cache.
    fn seal(&self, list: &[u8], sort_key: &str) -> String {
        let signature = self.cursors.sign(&[list, sort_key.as_bytes()]);
        URL_SAFE_NO_PAD.encode([signature.as_slice(), sort_key.as_bytes()].concat())
    }

    /// The place that a word stands for.
    fn open(&self, list: &[u8], cursor: &str) -> Result<String, Error> {
        const FOREIGN: &str = "is not a cursor of this list";
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
        let parts = bytes.as_ref().and_then(|bytes| bytes.split_first_chunk::<{ size_of::<Signature>() }>());
        parts
            .filter(|(signature, sort_key)| self.cursors.verify(&[list, sort_key], *signature))
            .and_then(|(_, sort_key)| String::from_utf8(sort_key.to_vec()).ok())
            .ok_or_else(|| Error::field("cursor", FOREIGN))
    }
}

fn sort_key(item: &HashMap<String, AttributeValue>) -> Option<String> {
    item.get("sk")?.as_s().ok().cloned()
}

fn start_key<T>(list: &List<T>, sk: String) -> HashMap<String, AttributeValue> {
    let mut key = Key { pk: list.partition.clone(), sk }.attributes();
    if let Some(index) = &list.index {
        key.insert(index.attribute.to_owned(), text(&index.partition));
    }
    key
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::clients::Builder;
    use crate::config::Variables;

    async fn pages(secret: &str) -> Pages {
        let variables =
            Variables::from_pairs([("SIGNING_SECRET", secret), ("DYNAMODB_ENDPOINT", "http://127.0.0.1:9")]);
        let builder = Builder::new(variables).await.unwrap();
        Pages::new(&builder.dynamodb().unwrap(), &builder.signer().unwrap())
    }

    fn name(list: &List<()>) -> Vec<u8> {
        serde_json::to_vec(list).unwrap()
    }

    #[tokio::test]
    async fn a_cursor_is_good_for_its_own_list_and_nothing_else() {
        let pages = pages("a secret of more than thirty-two bytes").await;
        let list = || List::<()>::new("T#acme".to_owned(), "DOC#");
        let by = |collection: &str| list().by_index("by_collection", "collection_key", format!("T#acme#{collection}"));
        let lists = [
            list(),
            List::new("T#other".to_owned(), "DOC#"),
            List::new("T#acme#U#ada".to_owned(), "DOC#"),
            List::new("T#acme".to_owned(), "USER#"),
            list().of_chunks(&[]),
            list().newest_first(),
            by("a"),
            by("b"),
            list().only("status", ["ready".to_owned()]),
            list().only("status", ["failed".to_owned()]),
            list().only("status", ["ready".to_owned(), "failed".to_owned()]),
            list().only("collection", ["ready".to_owned()]),
        ];
        let cursors: Vec<_> = lists.iter().map(|list| pages.seal(&name(list), "DOC#1")).collect();
        assert_eq!(cursors.iter().collect::<BTreeSet<_>>().len(), lists.len());
        for (made_for, cursor) in cursors.iter().enumerate() {
            for (used_for, list) in lists.iter().enumerate() {
                let opened = pages.open(&name(list), cursor);
                assert_eq!(opened.ok().as_deref(), (made_for == used_for).then_some("DOC#1"), "{made_for} {used_for}");
            }
        }
    }

    #[tokio::test]
    async fn an_altered_cursor_or_one_of_another_secret_is_refused() {
        let pages = pages("a secret of more than thirty-two bytes").await;
        let list = name(&List::new("T#acme".to_owned(), "DOC#"));
        let cursor = pages.seal(&list, "DOC#1");
        let bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        for byte in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[byte] ^= 1;
            assert!(pages.open(&list, &URL_SAFE_NO_PAD.encode(&altered)).is_err(), "byte {byte}");
            assert!(pages.open(&list, &URL_SAFE_NO_PAD.encode(&bytes[..byte])).is_err(), "{byte} bytes");
        }
        for wrong in ["", "!!", "RE9DIzE", &format!("{cursor}A"), &format!("{cursor}=")] {
            assert!(pages.open(&list, wrong).is_err(), "{wrong}");
        }
        let other = self::pages("another secret of more than thirty-two bytes").await;
        assert!(other.open(&list, &cursor).is_err());
    }
}
