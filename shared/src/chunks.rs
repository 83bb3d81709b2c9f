//! Passages with their vectors: written by ingestion, found by search.

mod lacking;
mod nearest;
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

pub use lacking::Lacking;
pub use nearest::{Hit, MAX_NEAREST};
pub use scored::ChunkName;

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

    /// Writes passages with their vectors. Keys follow from the content's place, so doing it twice changes nothing.
    pub async fn put(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        document: DocumentId,
        chunks: &[Embedded],
    ) -> Result<(), Error> {
        let mut writes = Vec::with_capacity(chunks.len());
        for Embedded { chunk, source, vectors } in chunks {
            let mut item: HashMap<_, _> = serde_dynamo::aws_sdk_dynamodb_1::to_item(chunk)?;
            item.extend(Key::chunk(tenant, document, chunk.version, chunk.chunk_index).attributes());
            item.insert(SCOPE.to_owned(), text(tables::vector_scope(tenant, collection)));
            item.insert("document_id".to_owned(), text(document.to_string()));
            item.insert(SOURCE.to_owned(), text(source));
            item.extend(vectors.iter().flat_map(Vector::attributes));
            let put = PutRequest::builder().set_item(Some(item)).build().map_err(Error::internal)?;
            writes.push(WriteRequest::builder().put_request(put).build());
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
            let request = self.query(&partition, "pk = :pk").projection_expression(&projection);
            let answer = request.set_exclusive_start_key(start).send().await?;
            for mut item in answer.items.unwrap_or_default() {
                let Some(AttributeValue::S(fingerprint)) = item.remove(&fingerprint) else { continue };
                let Some(AttributeValue::L(numbers)) = item.remove(&vector) else { continue };
                let vector: Option<Vec<f32>> = numbers.iter().map(|number| number.as_n().ok()?.parse().ok()).collect();
                let own = item.get("version").and_then(|n| n.as_n().ok()?.parse().ok()) == Some(version);
                let known = if own { &mut vectors.own } else { &mut vectors.others };
                known.extend(vector.map(|vector| (Fingerprint(fingerprint), vector)));
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

    /// Removes the passages of all versions.
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

    /// No sort key of a passage is `end` itself.
    async fn delete_between(
        &self,
        tenant: &TenantId,
        document: DocumentId,
        start: String,
        end: String,
    ) -> Result<(), Error> {
        let partition = tables::document_partition(tenant, document);
        let mut place = None;
        loop {
            let request = self
                .query(&partition, "pk = :pk AND sk BETWEEN :start AND :end")
                .expression_attribute_values(":start", text(&start))
                .expression_attribute_values(":end", text(&end))
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

    /// Takes the passages of a document to another collection, with their vectors. One that is removed meanwhile stays so.
    pub async fn rescope(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        document: DocumentId,
    ) -> Result<(), Error> {
        let (partition, scope) =
            (tables::document_partition(tenant, document), tables::vector_scope(tenant, collection));
        let mut start = None;
        loop {
            let request = self
                .query(&partition, "pk = :pk")
                .filter_expression("#scope <> :scope")
                .expression_attribute_names("#scope", SCOPE)
                .expression_attribute_values(":scope", text(&scope))
                .projection_expression("pk, sk");
            let answer = request.set_exclusive_start_key(start).send().await?;
            stream::iter(answer.items.unwrap_or_default())
                .map(|key| self.set_scope(key, &scope))
                .buffer_unordered(SIDE_BY_SIDE)
                .try_collect::<()>()
                .await?;
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    async fn set_scope(&self, key: HashMap<String, AttributeValue>, scope: &str) -> Result<(), Error> {
        let update = self
            .dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.chunks_table)
            .set_key(Some(key))
            .update_expression("SET #scope = :scope")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#scope", SCOPE)
            .expression_attribute_values(":scope", text(scope));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// How many passages of a document are stored, of whatever version.
    pub async fn count(&self, tenant: &TenantId, document: DocumentId) -> Result<usize, Error> {
        let partition = tables::document_partition(tenant, document);
        let (mut count, mut start) = (0, None);
        loop {
            let request = self.query(&partition, "pk = :pk").select(Select::Count);
            let answer = request.set_exclusive_start_key(start).send().await?;
            count += usize::try_from(answer.count).unwrap_or(0);
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
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
