//! How a worker gets on with a version: each step is one conditional write, so that no step is taken for a version that was
//! deleted, replaced or finished by somebody else.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use time::OffsetDateTime;

use super::marks::{self, Holder};
use super::model::{Document, Failure, Stage, StageName, Status};
use super::repository::Documents;
use crate::editions::Edition;
use crate::error::Error;
use crate::language::Language;
use crate::metrics;
use crate::tables::{self, Key, text};
use crate::tenancy::{DocumentId, TenantId};

/// What became of a version whose bytes were looked at.
#[derive(Debug)]
pub enum Arrived {
    /// They are what was announced.
    Known(Box<Document>),
    /// They are those of this other document of the collection.
    Elsewhere(DocumentId),
    /// The version is no longer to be worked on.
    Obsolete,
}

/// What became searchable of a version.
#[derive(Debug, Clone)]
pub struct Indexed {
    /// Its passages.
    pub chunk_count: u32,
    /// What it cost, in tokens.
    pub embedded_tokens: usize,
    /// The edition it is found in.
    pub edition: Edition,
    /// The language of most of its text, if it could be told.
    pub language: Option<Language>,
}

/// What became of a version whose passages are all written.
#[derive(Debug)]
pub enum Finished {
    /// It is visible.
    Ready,
    /// The document went to another collection while its passages were written; here it is.
    Moved(Box<Document>),
    /// The version is no longer to be worked on.
    Obsolete,
}

impl Documents {
    /// Notes which bytes arrived for a version that did not say, and marks them in the collection.
    pub async fn arrived(
        &self,
        tenant: &TenantId,
        document: &Document,
        sha256: &str,
        now: OffsetDateTime,
    ) -> Result<Arrived, Error> {
        let (id, collection) = (document.id, &document.collection);
        let update = Update::builder()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::document(tenant, id).attributes()))
            .update_expression("SET sha256 = :sha256, updated_at = :now")
            .condition_expression("version = :version AND #collection = :collection")
            .expression_attribute_names("#collection", "collection")
            .expression_attribute_values(":sha256", text(sha256))
            .expression_attribute_values(":now", tables::time(now)?)
            .expression_attribute_values(":version", AttributeValue::N(document.version.to_string()))
            .expression_attribute_values(":collection", text(collection.as_str()));
        let update = TransactWriteItem::builder().update(update.build().map_err(Error::internal)?).build();
        let writes = vec![update, marks::put(&self.dynamodb, tenant, collection, sha256, id)?];
        match self.dynamodb.transact(writes).await? {
            Ok(()) => {
                let found = self.find(tenant, id).await?.filter(|found| found.version == document.version);
                Ok(found.map_or(Arrived::Obsolete, |found| Arrived::Known(Box::new(found))))
            }
            Err(0) => match self.find(tenant, id).await? {
                // It was moved meanwhile, which the next delivery takes into account.
                Some(found) if found.version == document.version => Err(Error::unavailable("a document was moved")),
                _ => Ok(Arrived::Obsolete),
            },
            Err(_) => match marks::holder(&self.dynamodb, tenant, collection, sha256).await? {
                Some(other) => Ok(Arrived::Elsewhere(other)),
                None => Err(Error::unavailable("the same bytes were deleted meanwhile")),
            },
        }
    }

    /// A worker began a stage. `None` if the version is no longer to be worked on: deleted, replaced or ready.
    pub async fn begin_stage(
        &self,
        tenant: &TenantId,
        document: &Document,
        stage: StageName,
        now: OffsetDateTime,
    ) -> Result<Option<Document>, Error> {
        let mut stages = ended(&document.stages, now);
        if stage == StageName::Extracting {
            stages.clear();
            if document.status == Status::Queued {
                metrics::INGEST_STAGE.took_of("waiting", span(document.updated_at, now));
            }
        }
        stages.push(Stage { name: stage, started_at: now, ended_at: None });
        let request = self
            .progress(tenant, document, stage.status(), &stages, now)?
            .update_expression("SET updated_at = :now, #status = :status, stages = :stages, #error = :null")
            .expression_attribute_names("#error", "error")
            .expression_attribute_values(":null", AttributeValue::Null(true));
        self.apply(request).await
    }

    /// All passages are written, in the collection that `document` is in: the version becomes visible by this one write, which
    /// also says what was indexed, and lets go of the bytes that were served before.
    pub async fn ready(
        &self,
        tenant: &TenantId,
        document: &Document,
        indexed: &Indexed,
        now: OffsetDateTime,
    ) -> Result<Finished, Error> {
        let Some(item) = self.dynamodb.get(Key::document(tenant, document.id)).await? else {
            return Ok(Finished::Obsolete);
        };
        let holder = Holder::from_item(item)?;
        let Indexed { chunk_count, embedded_tokens, edition, language } = indexed;
        let is_first = *edition == Edition::FIRST;
        let found_in = if is_first { " REMOVE edition" } else { ", edition = :edition" };
        let update = Update::builder()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::document(tenant, document.id).attributes()))
            .update_expression(
                "SET updated_at = :now, #status = :ready, stages = :stages, served_version = :version, \
                 served_sha256 = sha256, chunk_count = :chunk_count, #language = :language, #error = :null"
                    .to_owned()
                    + found_in
                    + " ADD embedded_tokens :tokens",
            )
            .condition_expression("version = :version AND #status <> :ready AND #collection = :collection")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#error", "error")
            .expression_attribute_names("#collection", "collection")
            .expression_attribute_names("#language", "language")
            .expression_attribute_values(
                ":language",
                language.as_ref().map_or(AttributeValue::Null(true), |language| text(language.code())),
            )
            .expression_attribute_values(":now", tables::time(now)?)
            .expression_attribute_values(":ready", text(Status::Ready.as_str()))
            .expression_attribute_values(":null", AttributeValue::Null(true))
            .expression_attribute_values(":version", AttributeValue::N(document.version.to_string()))
            .expression_attribute_values(":collection", text(document.collection.as_str()))
            .expression_attribute_values(":tokens", AttributeValue::N(embedded_tokens.to_string()))
            .expression_attribute_values(":chunk_count", AttributeValue::N(chunk_count.to_string()))
            .expression_attribute_values(":stages", stages_value(&ended(&document.stages, now))?);
        let update = if is_first { update } else { update.expression_attribute_values(":edition", (*edition).into()) };
        let mut writes = vec![TransactWriteItem::builder().update(update.build().map_err(Error::internal)?).build()];
        if let Some(old) = holder.served_sha256.as_deref().filter(|old| holder.sha256.as_deref() != Some(old)) {
            writes.push(marks::delete(&self.dynamodb, tenant, &document.collection, old, document.id)?);
        }
        if self.dynamodb.transact(writes).await?.is_ok() {
            measure(&ended(&document.stages, now), indexed);
            return Ok(Finished::Ready);
        }
        match self.find(tenant, document.id).await? {
            Some(found) if found.version != document.version || found.status == Status::Ready => Ok(Finished::Obsolete),
            Some(found) if found.collection != document.collection => Ok(Finished::Moved(Box::new(found))),
            Some(_) => Err(Error::unavailable("a document changed while it became ready")),
            None => Ok(Finished::Obsolete),
        }
    }

    /// The version cannot be used.
    pub async fn failed(
        &self,
        tenant: &TenantId,
        document: &Document,
        failure: &Failure,
        now: OffsetDateTime,
    ) -> Result<Option<Document>, Error> {
        let request = self
            .progress(tenant, document, Status::Failed, &ended(&document.stages, now), now)?
            .update_expression("SET updated_at = :now, #status = :status, stages = :stages, #error = :error")
            .expression_attribute_names("#error", "error")
            .expression_attribute_values(":error", serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(failure)?);
        let document = self.apply(request).await?;
        metrics::INGEST_DOCUMENTS.add_of("failed", u64::from(document.is_some()));
        Ok(document)
    }

    /// A worker's change, allowed only while its version is the newest and not yet ready.
    fn progress(
        &self,
        tenant: &TenantId,
        document: &Document,
        status: Status,
        stages: &[Stage],
        now: OffsetDateTime,
    ) -> Result<UpdateItemFluentBuilder, Error> {
        Ok(self
            .of_version(tenant, document.id, document.version, now)?
            .condition_expression("version = :version AND #status <> :ready")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", text(status.as_str()))
            .expression_attribute_values(":ready", text(Status::Ready.as_str()))
            .expression_attribute_values(":stages", stages_value(stages)?))
    }
}

fn stages_value(stages: &[Stage]) -> Result<AttributeValue, Error> {
    Ok(serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(stages)?)
}

/// Takes note of the work on a version that is ready.
fn measure(stages: &[Stage], indexed: &Indexed) {
    let spans = stages.iter().filter_map(|stage| Some((stage.name, span(stage.started_at, stage.ended_at?))));
    let mut work = Duration::ZERO;
    for (name, span) in spans {
        metrics::INGEST_STAGE.took_of(name.status().as_str(), span);
        work += span;
    }
    metrics::INGEST_DOCUMENT.took(work);
    metrics::INGEST_DOCUMENTS.add_of("ready", 1);
    metrics::INGEST_PASSAGES.add(indexed.chunk_count.into());
}

/// None, if the clocks of two processes disagree.
fn span(from: OffsetDateTime, to: OffsetDateTime) -> Duration {
    (to - from).try_into().unwrap_or_default()
}

/// The stages with the running one ended.
fn ended(stages: &[Stage], now: OffsetDateTime) -> Vec<Stage> {
    stages.iter().map(|stage| Stage { ended_at: stage.ended_at.or(Some(now)), ..stage.clone() }).collect()
}
