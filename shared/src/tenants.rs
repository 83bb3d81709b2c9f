//! Tenants: their name, their plan, and the limits that differ from it.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::audit;
use crate::clients::DynamoDb;
use crate::config::LlmConfig;
use crate::door::Overrides;
use crate::error::Error;
use crate::tables::{self, Key, Stored, text};
use crate::tenancy::TenantId;

/// What is known of a tenant. One that was never described has no name and the standard plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// For people.
    pub name: Option<String>,
    /// The name of its plan.
    pub plan: Option<String>,
    /// Limits that differ from the plan's.
    #[serde(default)]
    pub limits: Overrides,
    /// How its questions are answered.
    #[serde(default)]
    pub chat: ChatSettings,
    /// Grows with each change.
    #[serde(default)]
    pub version: u64,
}

/// How the questions of a tenant are answered, where that differs from the deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatSettings {
    /// The language model, one of the deployment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens that a turn of the model may write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 65_536)]
    pub max_output_tokens: Option<u32>,
    /// Tokens that one answer may take, read and written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub max_tokens: Option<u32>,
    /// What one answer may cost, in hundredths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100_000)]
    pub max_cents: Option<u32>,
}

impl ChatSettings {
    /// The field that is not as it may be, if any is, and a sentence.
    fn fault(&self, models: &BTreeSet<String>) -> Option<(String, String)> {
        if self.model.as_ref().is_some_and(|model| !models.contains(model)) {
            let known: Vec<_> = models.iter().map(String::as_str).collect();
            return Some(("/chat/model".to_owned(), format!("must be one of {}", known.join(", "))));
        }
        let numbers = [
            ("max_output_tokens", self.max_output_tokens, LlmConfig::MOST_OUTPUT_TOKENS),
            ("max_tokens", self.max_tokens, LlmConfig::MOST_TOKENS),
            ("max_cents", self.max_cents, LlmConfig::MOST_CENTS),
        ];
        let wrong = |number: Option<u32>, most| number.is_some_and(|number| !(1..=most).contains(&number));
        let (name, _, most) = numbers.into_iter().find(|(_, number, most)| wrong(*number, *most))?;
        Some((format!("/chat/{name}"), format!("must be a whole number from 1 to {most}")))
    }
}

/// The tenants of the deployment.
#[derive(Debug, Clone)]
pub struct Tenants {
    dynamodb: DynamoDb,
}

impl Tenants {
    /// The tenants in this database.
    pub fn new(dynamodb: &DynamoDb) -> Self {
        Self { dynamodb: dynamodb.clone() }
    }

    /// The tenant.
    pub async fn get(&self, id: &TenantId) -> Result<Tenant, Error> {
        from_item(self.dynamodb.get(Key::tenant(id)).await?)
    }

    /// Tenants that have documents or collections, and where to go on if there may be more. One may come twice.
    pub async fn with_documents(
        &self,
        after: Option<(String, String)>,
    ) -> Result<(Vec<TenantId>, Option<(String, String)>), Error> {
        let answer = self
            .dynamodb
            .client
            .scan()
            .table_name(&self.dynamodb.table)
            .projection_expression("pk, sk")
            .filter_expression("begins_with(sk, :document) OR begins_with(sk, :collection)")
            .expression_attribute_values(":document", text(tables::DOCUMENT))
            .expression_attribute_values(":collection", text(tables::COLLECTION))
            .set_exclusive_start_key(after.map(|(pk, sk)| Key { pk, sk }.attributes()))
            .send()
            .await?;
        let part = |item: &HashMap<String, AttributeValue>, name: &str| item.get(name)?.as_s().ok().cloned();
        let mut tenants = Vec::new();
        for item in answer.items.unwrap_or_default() {
            let (Some(pk), Some(sk)) = (part(&item, "pk"), part(&item, "sk")) else { continue };
            let stored = Stored::from_key(&pk, &sk).map_err(Error::internal)?;
            tenants.extend(stored.map(|stored| stored.tenant).filter(|tenant| tenants.last() != Some(tenant)));
        }
        let after = answer.last_evaluated_key.and_then(|key| Some((part(&key, "pk")?, part(&key, "sk")?)));
        Ok((tenants, after))
    }

    /// Describes the tenant anew; its version grows by one.
    pub async fn put(&self, id: &TenantId, tenant: &Tenant, entry: &audit::Entry) -> Result<(), Error> {
        let optional = |value: &Option<String>| value.clone().map_or(AttributeValue::Null(true), AttributeValue::S);
        let limits = serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(tenant.limits)?;
        let chat = serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(&tenant.chat)?;
        let update = Update::builder()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::tenant(id).attributes()))
            .update_expression("SET #name = :name, #plan = :plan, #limits = :limits, #chat = :chat ADD #version :one")
            .expression_attribute_names("#name", "name")
            .expression_attribute_names("#plan", "plan")
            .expression_attribute_names("#limits", "limits")
            .expression_attribute_names("#chat", "chat")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":name", optional(&tenant.name))
            .expression_attribute_values(":plan", optional(&tenant.plan))
            .expression_attribute_values(":limits", limits)
            .expression_attribute_values(":chat", chat)
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        let update = TransactWriteItem::builder().update(update.build().map_err(Error::internal)?).build();
        let writes = vec![update, entry.write(&self.dynamodb, id)?];
        self.dynamodb.transact(writes).await?.map_err(|_| Error::internal("a tenant was not described"))
    }
}

/// The tenant in its item.
pub(crate) fn from_item(item: Option<HashMap<String, AttributeValue>>) -> Result<Tenant, Error> {
    item.map_or_else(|| Ok(Tenant::default()), |item| Ok(serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?))
}

/// The longest name, in characters.
const MAX_NAME: usize = 200;

impl Tenant {
    /// What is wrong with it, if anything is: the field and a sentence.
    pub fn fault(&self, plans: &[&str], models: &BTreeSet<String>) -> Option<(String, String)> {
        let length = self.name.as_ref().map_or(1, |name| if name.trim().is_empty() { 0 } else { name.chars().count() });
        if !(1..=MAX_NAME).contains(&length) {
            return Some(("/name".to_owned(), format!("must have 1 to {MAX_NAME} characters")));
        }
        if self.plan.as_deref().is_some_and(|plan| !plans.contains(&plan)) {
            return Some(("/plan".to_owned(), format!("must be one of {}", plans.join(", "))));
        }
        if let Some((limit, most)) = self.limits.out_of_range() {
            return Some((format!("/limits/{limit}"), format!("must be a whole number from 1 to {most}")));
        }
        self.chat.fault(models)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_named_by_its_field() {
        let plans = ["pro", "standard"];
        let models = ["extractive".to_owned(), "small".to_owned()].into();
        let fault = |tenant: Tenant| tenant.fault(&plans, &models).map(|(field, _)| field);
        assert_eq!(fault(Tenant::default()), None);
        assert_eq!(fault(Tenant { name: Some(" ".into()), ..Tenant::default() }).as_deref(), Some("/name"));
        assert_eq!(fault(Tenant { plan: Some("gold".into()), ..Tenant::default() }).as_deref(), Some("/plan"));
        let limits = Overrides { tenant_per_hour: Some(0), ..Overrides::default() };
        assert_eq!(fault(Tenant { limits, ..Tenant::default() }).as_deref(), Some("/limits/tenant_per_hour"));
        let chat = |chat| fault(Tenant { chat, ..Tenant::default() });
        assert_eq!(chat(ChatSettings { model: Some("small".into()), ..ChatSettings::default() }), None);
        let unknown = ChatSettings { model: Some("large".into()), ..ChatSettings::default() };
        assert_eq!(chat(unknown).as_deref(), Some("/chat/model"));
        let none = ChatSettings { max_cents: Some(0), ..ChatSettings::default() };
        assert_eq!(chat(none).as_deref(), Some("/chat/max_cents"));
    }
}
