use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use super::{Secrets, Topic, WebhookSecret};
use crate::audit;
use crate::clients::DynamoDb;
use crate::error::Error;
use crate::page::List;
use crate::tables::{self, Key, text};
use crate::tenancy::{RegistrationId, TenantId, WebhookId};

/// How many webhooks a tenant may have: each event is sent to each of them.
pub const MAX_WEBHOOKS: usize = 10;
/// How long the secret before the last change signs beside the new one.
const OVERLAP: Duration = Duration::days(1);

/// A webhook as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Webhook {
    /// Chosen by the client.
    pub id: WebhookId,
    /// Another one each time that a webhook by this id is made.
    pub registration: RegistrationId,
    /// Where its messages go. It may hold a password of the receiver's in its path or query, so it is not logged.
    pub url: String,
    /// What it is told of.
    pub events: BTreeSet<Topic>,
    /// Whether it is told of anything.
    pub enabled: bool,
    /// Why it is not, if no admin wished it.
    pub disabled_reason: Option<Disabled>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When an admin last changed it.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// Sealed.
    secret: String,
    /// The one before, sealed, and when it ends.
    previous_secret: Option<Previous>,
    /// Grows with each change.
    revision: u64,
}

/// A secret that was replaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Previous {
    sealed: String,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
}

/// Why a webhook is disabled that no admin disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookDisabledReason)]
pub enum Disabled {
    /// Its receiver answered 410.
    Gone,
}

impl Webhook {
    /// A webhook that nobody has yet, which is told of nothing.
    pub fn new(
        tenant: &TenantId,
        id: WebhookId,
        secret: &WebhookSecret,
        secrets: &Secrets,
        now: OffsetDateTime,
    ) -> Result<Self, Error> {
        let registration = RegistrationId::new();
        Ok(Self {
            secret: secrets.seal(secret, tenant, &id, registration)?,
            id,
            registration,
            url: String::new(),
            events: BTreeSet::new(),
            enabled: false,
            disabled_reason: None,
            created_at: now,
            updated_at: now,
            previous_secret: None,
            revision: 0,
        })
    }

    /// Whether it is told of this.
    pub fn wants(&self, topic: Topic) -> bool {
        self.enabled && self.events.contains(&topic)
    }

    /// Gives it another secret. The one before signs beside it for a day, so that its receiver can change over.
    pub fn rotate(
        &mut self,
        tenant: &TenantId,
        secret: &WebhookSecret,
        secrets: &Secrets,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let sealed = secrets.seal(secret, tenant, &self.id, self.registration)?;
        let previous = std::mem::replace(&mut self.secret, sealed);
        self.previous_secret = Some(Previous { sealed: previous, until: now + OVERLAP });
        Ok(())
    }

    /// Seals its secrets anew if they were sealed with an older secret of the deployment; whether they were.
    pub fn renew_seal(&mut self, tenant: &TenantId, secrets: &Secrets) -> Result<bool, Error> {
        let sealed = [&mut self.secret].into_iter().chain(self.previous_secret.as_mut().map(|it| &mut it.sealed));
        let mut renewed = false;
        for sealed in sealed {
            if let Some(anew) = secrets.renewed(sealed, tenant, &self.id, self.registration)? {
                *sealed = anew;
                renewed = true;
            }
        }
        Ok(renewed)
    }

    /// The secrets that sign now, the newest first; none if it cannot be read any more.
    pub fn secrets(&self, tenant: &TenantId, secrets: &Secrets, now: OffsetDateTime) -> Vec<WebhookSecret> {
        let open = |sealed: &str| secrets.open(sealed, tenant, &self.id, self.registration);
        let Some(newest) = open(&self.secret) else { return Vec::new() };
        let previous = self.previous_secret.as_ref().filter(|previous| now < previous.until);
        [newest].into_iter().chain(previous.and_then(|previous| open(&previous.sealed))).collect()
    }
}

/// The webhooks of the tenants.
#[derive(Debug, Clone)]
pub struct Webhooks {
    dynamodb: DynamoDb,
}

impl Webhooks {
    /// The webhooks in this database.
    pub fn new(dynamodb: &DynamoDb) -> Self {
        Self { dynamodb: dynamodb.clone() }
    }

    /// The webhooks of a tenant in the order of their ids, in pages.
    pub fn list(tenant: &TenantId) -> List<Webhook> {
        List::new(tables::partition(tenant), tables::WEBHOOK)
    }

    /// All webhooks of a tenant: they are few.
    pub async fn all(&self, tenant: &TenantId) -> Result<Vec<Webhook>, Error> {
        let items = self.dynamodb.all(tables::partition(tenant), tables::WEBHOOK).await?;
        Ok(serde_dynamo::aws_sdk_dynamodb_1::from_items(items)?)
    }

    /// The webhook, if the tenant has it.
    pub async fn find(&self, tenant: &TenantId, id: &WebhookId) -> Result<Option<Webhook>, Error> {
        let item = self.dynamodb.get(Key::webhook(tenant, id)).await?;
        Ok(item.map(serde_dynamo::aws_sdk_dynamodb_1::from_item).transpose()?)
    }

    /// The webhook; [`Error::NotFound`] if the tenant has none by this id.
    pub async fn get(&self, tenant: &TenantId, id: &WebhookId) -> Result<Webhook, Error> {
        self.find(tenant, id).await?.ok_or(Error::NotFound)
    }

    /// Stores a webhook that is new, or was read and changed; a conflict if somebody else changed it meanwhile.
    pub async fn put(&self, tenant: &TenantId, mut webhook: Webhook, entry: &audit::Entry) -> Result<(), Error> {
        let seen = webhook.revision;
        webhook.revision += 1;
        let mut item: HashMap<_, AttributeValue> = serde_dynamo::aws_sdk_dynamodb_1::to_item(&webhook)?;
        item.extend(Key::webhook(tenant, &webhook.id).attributes());
        let put = Put::builder().table_name(&self.dynamodb.table).set_item(Some(item));
        let put = if seen == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("registration = :registration AND revision = :seen")
                .expression_attribute_values(":registration", text(webhook.registration.to_string()))
                .expression_attribute_values(":seen", AttributeValue::N(seen.to_string()))
        };
        let put = TransactWriteItem::builder().put(put.build().map_err(Error::internal)?).build();
        let writes = vec![put, entry.write(&self.dynamodb, tenant)?];
        self.dynamodb
            .transact(writes)
            .await?
            .map_err(|_| Error::Conflict("The webhook was changed by somebody else just now; try again."))
    }

    /// Deletes a webhook: nothing more is sent to it. [`Error::NotFound`] if there is none.
    pub async fn delete(&self, tenant: &TenantId, id: &WebhookId, entry: &audit::Entry) -> Result<(), Error> {
        let delete = Delete::builder()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::webhook(tenant, id).attributes()))
            .condition_expression("attribute_exists(pk)");
        let delete = TransactWriteItem::builder().delete(delete.build().map_err(Error::internal)?).build();
        let writes = vec![delete, entry.write(&self.dynamodb, tenant)?];
        self.dynamodb.transact(writes).await?.map_err(|_| Error::NotFound)
    }

    /// Disables a webhook whose receiver is gone, unless an admin has changed it since it was read.
    pub async fn disable(&self, tenant: &TenantId, webhook: &Webhook, reason: Disabled) -> Result<(), Error> {
        let request = self
            .update(tenant, webhook)
            .update_expression("SET enabled = :no, disabled_reason = :reason ADD revision :one")
            .expression_attribute_values(":no", AttributeValue::Bool(false))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .expression_attribute_values(":reason", serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(reason)?);
        unless_changed(request).await
    }

    /// Keeps secrets that were sealed anew, unless somebody has changed the webhook since it was read. Nothing else of it
    /// changes, so who changes it at the same time does not have to know.
    pub async fn keep_seal(&self, tenant: &TenantId, webhook: &Webhook) -> Result<(), Error> {
        let previous = serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(&webhook.previous_secret)?;
        let request = self
            .update(tenant, webhook)
            .update_expression("SET secret = :secret, previous_secret = :previous")
            .expression_attribute_values(":secret", text(&webhook.secret))
            .expression_attribute_values(":previous", previous);
        unless_changed(request).await
    }

    fn update(&self, tenant: &TenantId, webhook: &Webhook) -> UpdateItemFluentBuilder {
        self.dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::webhook(tenant, &webhook.id).attributes()))
            .condition_expression("registration = :registration AND revision = :seen")
            .expression_attribute_values(":registration", text(webhook.registration.to_string()))
            .expression_attribute_values(":seen", AttributeValue::N(webhook.revision.to_string()))
    }
}

async fn unless_changed(request: UpdateItemFluentBuilder) -> Result<(), Error> {
    match request.send().await {
        Ok(_) => Ok(()),
        Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => Ok(()),
        Err(error) => Err(error.into()),
    }
}
