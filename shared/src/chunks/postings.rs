//! Postings: which exact terms stand in which passages.
//!
//! A posting lies beside its passage, in the partition of the document, and is found by an index. As an item in a partition of
//! the term it would cost a write less; but nothing that removes a passage could be sure to find one that a worker wrote late,
//! unless each passage and its postings were one transaction, which costs more.

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};

use super::{Chunk, Chunks, Item};
use crate::error::Error;
use crate::tables::{self, BY_TERM, Key, POSTING, TERM, text};
use crate::tenancy::{CollectionId, DocumentId, TenantId};
use crate::terms::Term;

/// Which passage of which version of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkKey {
    /// The document.
    pub document: DocumentId,
    /// Its version.
    pub version: u32,
    /// The place of the passage, from 0.
    pub index: u32,
}

impl Chunks {
    /// The passages of a collection, or of one document in it, in which a term stands: those of the newest documents, `most`
    /// of them.
    pub async fn with_term(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        document: Option<DocumentId>,
        term: &Term,
        most: usize,
    ) -> Result<Vec<ChunkKey>, Error> {
        let of_document = document.map(|document| tables::document_partition(tenant, document));
        let condition = if of_document.is_some() { "#term = :term AND pk = :pk" } else { "#term = :term" };
        let mut request = self
            .dynamodb
            .client
            .query()
            .table_name(&self.dynamodb.chunks_table)
            .index_name(BY_TERM)
            .key_condition_expression(condition)
            .expression_attribute_names("#term", TERM)
            .expression_attribute_values(":term", text(tables::term_partition(tenant, collection, term)));
        if let Some(document) = of_document {
            request = request.expression_attribute_values(":pk", text(document));
        }
        let answer = request
            .projection_expression("pk, sk")
            .scan_index_forward(false)
            .limit(i32::try_from(most).unwrap_or(i32::MAX))
            .send()
            .await?;
        Ok(answer.items.unwrap_or_default().iter().filter_map(|item| chunk_key(tenant, item)).collect())
    }

    pub(super) async fn rescope_postings(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        partition: &str,
    ) -> Result<(), Error> {
        let prefix = tables::terms_prefix(tenant, collection);
        let postings = self
            .postings(partition)
            .filter_expression("NOT begins_with(#term, :prefix)")
            .expression_attribute_names("#term", TERM)
            .expression_attribute_values(":prefix", text(&prefix))
            .projection_expression("pk, sk");
        let mut start = None;
        loop {
            let answer = postings.clone().set_exclusive_start_key(start).send().await?;
            let keys = answer.items.unwrap_or_default().into_iter();
            let of_terms = keys.filter_map(|key| {
                let of_term = format!("{prefix}{}", term(&key)?);
                Some((key, of_term))
            });
            self.set_all(TERM, of_terms.collect()).await?;
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }
}

/// The term of a posting, by its key.
fn term(key: &Item) -> Option<&str> {
    key.get("sk")?.as_s().ok()?.strip_prefix(POSTING)?.splitn(3, '#').last()
}

/// The write of a posting.
pub(super) fn put(
    tenant: &TenantId,
    collection: &CollectionId,
    document: DocumentId,
    chunk: &Chunk,
    term: &Term,
) -> Result<WriteRequest, Error> {
    let mut item = Key::posting(tenant, document, chunk.version, chunk.chunk_index, term).attributes();
    item.insert(TERM.to_owned(), text(tables::term_partition(tenant, collection, term)));
    let put = PutRequest::builder().set_item(Some(item)).build().map_err(Error::internal)?;
    Ok(WriteRequest::builder().put_request(put).build())
}

/// Of which passage a posting is.
fn chunk_key(tenant: &TenantId, item: &Item) -> Option<ChunkKey> {
    let part = |name: &str| item.get(name).and_then(|value: &AttributeValue| value.as_s().ok());
    let document = part("pk")?.strip_prefix(&tables::documents_prefix(tenant))?.parse().ok()?;
    let mut numbers = part("sk")?.strip_prefix(POSTING)?.split('#');
    let (version, index) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    Some(ChunkKey { document, version, index })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_posting_tells_of_which_passage_it_is() {
        let (tenant, document): (TenantId, _) = ("acme".parse().unwrap(), DocumentId::new());
        let term = &crate::terms::exact_terms("ERR-4821", 1)[0];
        let posting = Key::posting(&tenant, document, 3, 12, term).attributes();
        assert_eq!(chunk_key(&tenant, &posting), Some(ChunkKey { document, version: 3, index: 12 }));
        assert_eq!(chunk_key(&"globex".parse().unwrap(), &posting), None);
        assert_eq!(chunk_key(&tenant, &Key::chunk(&tenant, document, 3, 12).attributes()), None);
    }

    #[test]
    fn postings_sort_behind_passages_and_in_their_order() {
        let (tenant, document): (TenantId, _) = ("acme".parse().unwrap(), DocumentId::new());
        let term = &crate::terms::exact_terms("ERR-4821", 1)[0];
        assert!(Key::chunk(&tenant, document, 999_999, 999_999).sk.as_str() < POSTING);
        let posting = |version, index| Key::posting(&tenant, document, version, index, term).sk;
        assert!(posting(1, 99) < posting(1, 100) && posting(1, 100) < posting(2, 0));
    }
}
