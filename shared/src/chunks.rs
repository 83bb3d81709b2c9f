//! Passages with their vectors: written by ingestion, found by search.

mod lacking;
mod nearest;
mod postings;
mod scored;

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, Select, WriteRequest};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clients::DynamoDb;
use crate::editions::Edition;
use crate::embed::Embedder;
use crate::error::Error;
use crate::page::List;
use crate::tables::{self, Key, text};
use crate::tenancy::{CollectionId, DocumentId, TenantId};
use crate::terms::Term;

pub use lacking::Lacking;
pub use nearest::{Hit, MAX_NEAREST};
pub use postings::ChunkKey;

type Item = HashMap<String, AttributeValue>;

/// What decides in whose searches a passage is found.
const SCOPE: &str = "scope";
/// The text that is given to embedding models.
const SOURCE: &str = "source";
/// Passages that are changed side by side.
const SIDE_BY_SIDE: usize = 16;

/// A passage of one version of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The version of the document.
    pub version: u32,
    /// Its place in the document, from 0.
    pub chunk_index: u32,
    /// What it says.
    pub text: String,
    /// The page it begins on, from 1, where there are pages.
    pub page: Option<u32>,
    /// The headings above it, outermost first, joined by `›`.
    pub heading: Option<String>,
    /// Where it begins in the text of the document, in characters (Unicode scalar values).
    pub span_start: u32,
    /// Where it ends, exclusive.
    pub span_end: u32,
}

impl Chunk {
    /// The name of the passage in answers.
    pub fn id(&self, document: DocumentId) -> String {
        format!("{document}-{}-{}", self.version, self.chunk_index)
    }
}

/// A passage with its vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// The passage.
    pub chunk: Chunk,
    /// What is embedded for it: its text with the title and the headings in front.
    pub source: String,
    /// Its vectors, one of each model.
    pub vectors: Vec<Vector>,
    /// The exact terms that it is found by.
    pub terms: Vec<Term>,
}

/// How much is stored of a document, of whatever version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Its passages.
    pub passages: usize,
    /// Their postings: one for each exact term of each.
    pub postings: usize,
}

/// A vector of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector {
    /// The model.
    pub edition: Edition,
    /// What the vector is of.
    pub fingerprint: Fingerprint,
    /// Its numbers.
    pub numbers: Vec<f32>,
}

impl Vector {
    /// The attributes of a passage that hold it.
    fn attributes(&self) -> [(String, AttributeValue); 2] {
        let (edition, numbers) = (self.edition, tables::vector(&self.numbers));
        [(edition.fingerprint(), text(&self.fingerprint.0)), (edition.vector(), AttributeValue::L(numbers))]
    }
}

/// Tells what a vector is of: a text and the model that looked at it. Whatever has the same has the same vector.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Of a text that is given to an embedder.
    pub fn of(text: &str, embedder: &dyn Embedder) -> Self {
        let mut hash = Sha256::new();
        hash.update(format!("{} {}\n{text}", embedder.model(), embedder.dimensions()));
        Self(hex::encode(&hash.finalize()[..16]))
    }
}

/// Vectors that a document's passages have already.
#[derive(Debug, Default)]
pub struct Vectors {
    /// Those of the version that was asked for.
    pub own: HashMap<Fingerprint, Vec<f32>>,
    /// Those of its other versions.
    pub others: HashMap<Fingerprint, Vec<f32>>,
}

/// The passages of the tenants.
#[derive(Debug, Clone)]
pub struct Chunks {
    dynamodb: DynamoDb,
}

impl Chunks {
    /// The passages in this database.
    pub fn new(dynamodb: &DynamoDb) -> Self {
        Self { dynamodb: dynamodb.clone() }
    }

    /// Writes passages with their vectors and postings. Keys follow from the content's place, so doing it twice changes nothing.
    pub async fn put(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        document: DocumentId,
        chunks: &[Embedded],
    ) -> Result<(), Error> {
        let mut writes = Vec::with_capacity(chunks.len());
        for Embedded { chunk, source, vectors, terms } in chunks {
            let mut item: Item = serde_dynamo::aws_sdk_dynamodb_1::to_item(chunk)?;
            item.extend(Key::chunk(tenant, document, chunk.version, chunk.chunk_index).attributes());
            item.insert(SCOPE.to_owned(), text(tables::vector_scope(tenant, collection)));
            item.insert("document_id".to_owned(), text(document.to_string()));
            item.insert(SOURCE.to_owned(), text(source));
            item.extend(vectors.iter().flat_map(Vector::attributes));
            let put = PutRequest::builder().set_item(Some(item)).build().map_err(Error::internal)?;
            writes.push(WriteRequest::builder().put_request(put).build());
            for term in terms {
                writes.push(postings::put(tenant, collection, document, chunk, term)?);
            }
        }
        self.dynamodb.write_all(&self.dynamodb.chunks_table, writes).await
    }

    /// The vectors of a document's passages by one model, those of `version` apart from those of others.
    pub async fn vectors(
        &self,
        tenant: &TenantId,
        document: DocumentId,
        version: u32,
        edition: Edition,
    ) -> Result<Vectors, Error> {
        let mut vectors = Vectors::default();
        let (fingerprint, vector) = (edition.fingerprint(), edition.vector());
        let projection = format!("version, {fingerprint}, {vector}");
        let partition = tables::document_partition(tenant, document);
        let mut start = None;
        loop {
            let request = self.passages(&partition).projection_expression(&projection);
            let answer = request.set_exclusive_start_key(start).send().await?;
            for mut item in answer.items.unwrap_or_default() {
                let Some(AttributeValue::S(fingerprint)) = item.remove(&fingerprint) else { continue };
                let Some(vector) = item.get(&vector).and_then(tables::numbers) else { continue };
                let own = item.get("version").and_then(|n| n.as_n().ok()?.parse().ok()) == Some(version);
                let known = if own { &mut vectors.own } else { &mut vectors.others };
                known.insert(Fingerprint(fingerprint), vector);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(vectors);
            }
        }
    }

    /// The passages of one version in order, for [`crate::page::Pages`].
    pub fn list(tenant: &TenantId, document: DocumentId, version: u32) -> List<Chunk> {
        let partition = tables::document_partition(tenant, document);
        List::new(partition, tables::chunk_version_prefix(version)).of_chunks(&tables::PROJECTED)
    }

    /// Removes the passages of all versions, and their postings.
    pub async fn delete_all(&self, tenant: &TenantId, document: DocumentId) -> Result<(), Error> {
        let partition = tables::document_partition(tenant, document);
        self.dynamodb.delete_all(&self.dynamodb.chunks_table, partition).await
    }

    /// Removes the passages of one version from the one at `index` on.
    pub async fn delete_from(
        &self,
        tenant: &TenantId,
        document: DocumentId,
        version: u32,
        index: u32,
    ) -> Result<(), Error> {
        let first = Key::chunk(tenant, document, version, index).sk;
        self.delete_between(tenant, document, first, tables::chunk_version_prefix(version) + "~").await
    }

    /// Removes the passages of all versions before one.
    pub async fn delete_before(&self, tenant: &TenantId, document: DocumentId, version: u32) -> Result<(), Error> {
        self.delete_between(tenant, document, String::from("0"), tables::chunk_version_prefix(version)).await
    }

    /// Removes passages and their postings. No sort key of a passage is `end` itself.
    async fn delete_between(
        &self,
        tenant: &TenantId,
        document: DocumentId,
        start: String,
        end: String,
    ) -> Result<(), Error> {
        let postings = [&start, &end].map(|key| format!("{}{key}", tables::POSTING));
        for [start, end] in [postings, [start, end]] {
            self.delete_keys_between(tenant, document, &start, &end).await?;
        }
        Ok(())
    }

    async fn delete_keys_between(
        &self,
        tenant: &TenantId,
        document: DocumentId,
        start: &str,
        end: &str,
    ) -> Result<(), Error> {
        let partition = tables::document_partition(tenant, document);
        let mut place = None;
        loop {
            let request = self
                .query(&partition, "pk = :pk AND sk BETWEEN :start AND :end")
                .expression_attribute_values(":start", text(start))
                .expression_attribute_values(":end", text(end))
                .projection_expression("pk, sk");
            let answer = request.set_exclusive_start_key(place).send().await?;
            let deletes = answer.items.unwrap_or_default().into_iter().map(|key| {
                let delete = DeleteRequest::builder().set_key(Some(key)).build().map_err(Error::internal)?;
                Ok(WriteRequest::builder().delete_request(delete).build())
            });
            self.dynamodb.write_all(&self.dynamodb.chunks_table, deletes.collect::<Result<_, Error>>()?).await?;
            place = answer.last_evaluated_key;
            if place.is_none() {
                return Ok(());
            }
        }
    }

    /// Takes the passages of a document to another collection, with their vectors and postings. What is removed meanwhile
    /// stays so.
    pub async fn rescope(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        document: DocumentId,
    ) -> Result<(), Error> {
        let partition = tables::document_partition(tenant, document);
        let scope = tables::vector_scope(tenant, collection);
        let passages = self
            .passages(&partition)
            .filter_expression("#scope <> :scope")
            .expression_attribute_names("#scope", SCOPE)
            .expression_attribute_values(":scope", text(&scope))
            .projection_expression("pk, sk");
        let mut start = None;
        loop {
            let answer = passages.clone().set_exclusive_start_key(start).send().await?;
            let keys = answer.items.unwrap_or_default().into_iter();
            self.set_all(SCOPE, keys.map(|key| (key, scope.clone())).collect()).await?;
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        self.rescope_postings(tenant, collection, &partition).await
    }

    /// Gives items a new value of an attribute. What is removed meanwhile stays so.
    async fn set_all(&self, attribute: &'static str, values: Vec<(Item, String)>) -> Result<(), Error> {
        let writes = values.into_iter().map(|(key, value)| self.set(key, attribute, value));
        stream::iter(writes.collect::<Vec<_>>()).buffer_unordered(SIDE_BY_SIDE).try_collect().await
    }

    async fn set(&self, key: Item, attribute: &'static str, value: String) -> Result<(), Error> {
        let update = self
            .dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.chunks_table)
            .set_key(Some(key))
            .update_expression("SET #attribute = :value")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#attribute", attribute)
            .expression_attribute_values(":value", text(value));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// How much is stored of a document.
    pub async fn count(&self, tenant: &TenantId, document: DocumentId) -> Result<Count, Error> {
        let partition = tables::document_partition(tenant, document);
        // In boxes: requests are large, and these are part of whatever counts.
        let passages = Box::pin(count(self.passages(&partition)));
        let postings = Box::pin(count(self.postings(&partition)));
        let (passages, postings) = futures::try_join!(passages, postings)?;
        Ok(Count { passages, postings })
    }

    /// The passages in the partition of a document.
    fn passages(&self, partition: &str) -> QueryFluentBuilder {
        self.query(partition, "pk = :pk AND sk < :postings")
            .expression_attribute_values(":postings", text(tables::POSTING))
    }

    /// The postings in it.
    fn postings(&self, partition: &str) -> QueryFluentBuilder {
        self.query(partition, "pk = :pk AND begins_with(sk, :postings)")
            .expression_attribute_values(":postings", text(tables::POSTING))
    }

    fn query(&self, partition: &str, condition: &str) -> QueryFluentBuilder {
        self.dynamodb
            .client
            .query()
            .table_name(&self.dynamodb.chunks_table)
            .key_condition_expression(condition)
            .expression_attribute_values(":pk", text(partition))
            .consistent_read(true)
    }
}

/// How many items a query finds.
async fn count(query: QueryFluentBuilder) -> Result<usize, Error> {
    let (mut count, mut start) = (0, None);
    loop {
        let answer = query.clone().select(Select::Count).set_exclusive_start_key(start).send().await?;
        count += usize::try_from(answer.count).unwrap_or(0);
        start = answer.last_evaluated_key;
        if start.is_none() {
            return Ok(count);
        }
    }
}
