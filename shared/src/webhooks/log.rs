use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use time::{Duration, OffsetDateTime};

use super::{Attempt, Delivery, DeliveryStatus, Notice};
use crate::clients::DynamoDb;
use crate::error::Error;
use crate::page::List;
use crate::tables::{self, EXPIRES_AT, Key, text};
use crate::tenancy::{RegistrationId, TenantId};

/// How long it is known what became of an event: longer than any queue or stream keeps what could bring it again.
const KEEP: Duration = Duration::days(30);

/// Whether a delivery may be tried now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It may, by the holder of this claim.
    Taken {
        /// Nobody else may before this time, which also names the claim.
        until: OffsetDateTime,
        /// How often it was tried.
        attempts: usize,
    },
    /// Not before this time: somebody else tries, or it failed a while ago.
    NotBefore(OffsetDateTime),
    /// It was delivered or given up.
    Settled,
}

/// What became of telling webhooks of events.
#[derive(Debug, Clone)]
pub struct Deliveries {
    dynamodb: DynamoDb,
}

impl Deliveries {
    /// Those in this database.
    pub fn new(dynamodb: &DynamoDb) -> Self {
        Self { dynamodb: dynamodb.clone() }
    }

    /// What a webhook was told, newest first.
    pub fn list(tenant: &TenantId, registration: RegistrationId) -> List<Delivery> {
        List::new(tables::deliveries_partition(tenant, registration), tables::EVENT).newest_first()
    }

    /// Claims a delivery for so long, if it is due. A worker that dies leaves its claim, which then ends.
    pub async fn claim(&self, notice: &Notice, now: OffsetDateTime, span: Duration) -> Result<Claim, Error> {
        let found = self.dynamodb.get(key(notice)).await?;
        let found: Option<Delivery> = found.map(serde_dynamo::aws_sdk_dynamodb_1::from_item).transpose()?;
        let attempts = found.as_ref().map_or(0, |delivery| delivery.attempts.len());
        let due = match &found {
            Some(delivery) if delivery.status != DeliveryStatus::Pending => return Ok(Claim::Settled),
            Some(Delivery { next_attempt_at: Some(due), .. }) if *due > now => return Ok(Claim::NotBefore(*due)),
            Some(delivery) => delivery.next_attempt_at,
            None => None,
        };
        let until = now + span;
        let request = self
            .update(notice)
            .update_expression(format!(
                "SET id = :id, #event = :event, document_id = :document_id, #status = :pending, next_attempt_at = :until, \
                 attempts = if_not_exists(attempts, :none), {EXPIRES_AT} = if_not_exists({EXPIRES_AT}, :end)"
            ))
            .expression_attribute_names("#event", "event")
            .expression_attribute_values(":id", text(notice.event.id.to_string()))
            .expression_attribute_values(":event", attribute(notice.event.kind)?)
            .expression_attribute_values(":document_id", attribute(notice.event.document_id)?)
            .expression_attribute_values(":pending", text(DeliveryStatus::Pending.as_str()))
            .expression_attribute_values(":until", tables::time(until)?)
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":end", AttributeValue::N((now + KEEP).unix_timestamp().to_string()));
        let request = match due {
            None => request.condition_expression("attribute_not_exists(pk)"),
            Some(due) => request
                .condition_expression("#status = :pending AND next_attempt_at = :due")
                .expression_attribute_values(":due", tables::time(due)?),
        };
        // If it does not hold, another worker was faster.
        Ok(if apply(request).await? { Claim::Taken { until, attempts } } else { Claim::NotBefore(until) })
    }

    /// The receiver has it.
    pub async fn delivered(&self, notice: &Notice, attempt: &Attempt) -> Result<(), Error> {
        apply(self.settle(notice, DeliveryStatus::Delivered, attempt)?).await.map(|_| ())
    }

    /// An attempt of the holder of a claim failed. It is made again at `next`, or the delivery is given up. Changes nothing
    /// if somebody else has a claim by now.
    pub async fn failed(
        &self,
        notice: &Notice,
        claim: OffsetDateTime,
        attempt: &Attempt,
        next: Option<OffsetDateTime>,
    ) -> Result<(), Error> {
        let request = match next {
            None => self.settle(notice, DeliveryStatus::Failed, attempt)?,
            Some(next) => self
                .update(notice)
                .update_expression("SET attempts = list_append(attempts, :attempt), next_attempt_at = :next")
                .expression_attribute_values(":attempt", attribute([attempt])?)
                .expression_attribute_values(":next", tables::time(next)?),
        };
        let request = request
            .condition_expression("#status = :pending AND next_attempt_at = :claim")
            .expression_attribute_values(":pending", text(DeliveryStatus::Pending.as_str()))
            .expression_attribute_values(":claim", tables::time(claim)?);
        apply(request).await.map(|_| ())
    }

    fn settle(
        &self,
        notice: &Notice,
        status: DeliveryStatus,
        attempt: &Attempt,
    ) -> Result<UpdateItemFluentBuilder, Error> {
        Ok(self
            .update(notice)
            .update_expression(
                "SET #status = :status, attempts = list_append(attempts, :attempt), next_attempt_at = :never",
            )
            .expression_attribute_values(":status", text(status.as_str()))
            .expression_attribute_values(":attempt", attribute([attempt])?)
            .expression_attribute_values(":never", AttributeValue::Null(true)))
    }

    fn update(&self, notice: &Notice) -> UpdateItemFluentBuilder {
        self.dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.table)
            .set_key(Some(key(notice).attributes()))
            .expression_attribute_names("#status", "status")
    }
}

fn key(notice: &Notice) -> Key {
    Key::delivery(&notice.tenant, notice.registration, notice.event.id)
}

fn attribute(value: impl serde::Serialize) -> Result<AttributeValue, Error> {
    Ok(serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(value)?)
}

/// Whether the condition of a change held.
async fn apply(request: UpdateItemFluentBuilder) -> Result<bool, Error> {
    match request.send().await {
        Ok(_) => Ok(true),
        Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => Ok(false),
        Err(error) => Err(error.into()),
    }
}
