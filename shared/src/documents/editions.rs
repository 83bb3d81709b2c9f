//! Documents of which an edition has no vectors yet.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};

use super::model::{Stage, Status};
use super::repository::Documents;
use crate::editions::Edition;
use crate::error::Error;
use crate::tables::{self, Key, text};
use crate::tenancy::{CollectionId, DocumentId, TenantId};

/// The longest that a worker is at work without a word.
const LONGEST_WORK: Duration = Duration::minutes(15);

/// A document that searches in an edition would miss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The document.
    pub id: DocumentId,
    /// The version that it serves. None if it serves none yet, and a worker is at it that may not know the edition.
    pub served_version: Option<u32>,
}

/// What decides whether a document is behind, as it is stored.
#[derive(Deserialize)]
struct Stored {
    id: DocumentId,
    status: Status,
    stages: Vec<Stage>,
    served_version: Option<u32>,
    #[serde(default)]
    edition: Option<Edition>,
}

impl Stored {
    fn behind(self, edition: Edition, since: OffsetDateTime) -> Option<Behind> {
        let is_served = self.served_version.is_some();
        let lacks = is_served && self.edition.unwrap_or(Edition::FIRST) < edition;
        (lacks || self.is_in_old_hands(since))
            .then_some(Behind { id: self.id, served_version: self.served_version.filter(|_| lacks) })
    }

    /// Whether a worker is at it that began before `since`.
    fn is_in_old_hands(&self, since: OffsetDateTime) -> bool {
        let in_work = matches!(self.status, Status::Extracting | Status::Embedding | Status::Indexing);
        let began = self.stages.first().map(|stage| stage.started_at);
        in_work && began.is_some_and(|began| (since - LONGEST_WORK..since).contains(&began))
    }
}

impl Documents {
    /// Documents of a collection behind an edition, in the order of their ids, after one of them, at most about so many; by the
    /// latest state. Workers that began after `since` know the edition.
    pub async fn behind(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        edition: Edition,
        since: OffsetDateTime,
        after: Option<DocumentId>,
        most: usize,
    ) -> Result<Vec<Behind>, Error> {
        let mut start = after.map(|id| Key::document(tenant, id).attributes());
        let mut found = Vec::new();
        loop {
            let answer = self
                .dynamodb
                .client
                .query()
                .table_name(&self.dynamodb.table)
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .filter_expression("#collection = :collection")
                .projection_expression("id, #status, stages, served_version, edition")
                .expression_attribute_names("#collection", "collection")
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":pk", text(tables::partition(tenant)))
                .expression_attribute_values(":prefix", text(tables::DOCUMENT))
                .expression_attribute_values(":collection", text(collection.as_str()))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await?;
            let stored: Vec<Stored> = serde_dynamo::aws_sdk_dynamodb_1::from_items(answer.items.unwrap_or_default())?;
            found.extend(stored.into_iter().filter_map(|stored| stored.behind(edition, since)));
            start = answer.last_evaluated_key;
            if start.is_none() || found.len() >= most {
                return Ok(found);
            }
        }
    }

    /// Takes note that a version has vectors of an edition, if the document still serves it.
    pub async fn caught_up(
        &self,
        tenant: &TenantId,
        id: DocumentId,
        version: u32,
        edition: Edition,
    ) -> Result<(), Error> {
        let update = self
            .dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::document(tenant, id).attributes()))
            .update_expression("SET edition = :edition")
            .condition_expression("served_version = :version")
            .expression_attribute_values(":edition", edition.into())
            .expression_attribute_values(":version", AttributeValue::N(version.to_string()));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::StageName;
    use super::*;

    #[test]
    fn a_document_is_behind_if_what_it_serves_lacks_vectors_or_an_old_worker_is_at_it() {
        let since = OffsetDateTime::UNIX_EPOCH + Duration::hours(10);
        let second = Edition::FIRST.next();
        let is_behind = |status, served_version, edition, began: Duration| {
            let stage = Stage { name: StageName::Extracting, started_at: since + began, ended_at: None };
            let stored = Stored { id: DocumentId::new(), status, stages: vec![stage], served_version, edition };
            stored.behind(second, since).map(|behind| behind.served_version)
        };
        let (before, after, long_before) = (Duration::seconds(-9), Duration::seconds(9), Duration::hours(-1));
        for (status, served, edition, began, expected) in [
            (Status::Ready, Some(1), None, before, Some(Some(1))),
            (Status::Ready, Some(1), Some(second), before, None),
            (Status::Failed, Some(2), None, before, Some(Some(2))),
            (Status::Failed, None, None, before, None),
            (Status::Embedding, None, None, before, Some(None)),
            (Status::Embedding, Some(1), Some(second), before, Some(None)),
            (Status::Embedding, None, None, after, None),
            (Status::Embedding, None, None, long_before, None),
            (Status::Queued, None, None, before, None),
        ] {
            assert_eq!(is_behind(status, served, edition, began), expected, "{status:?} {served:?} {began}");
        }
    }
}
