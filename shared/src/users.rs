//! Users: what a tenant keeps of them beside what their tokens say.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use serde::{Deserialize, Serialize};

use crate::clients::DynamoDb;
use crate::error::Error;
use crate::tables::{Key, text};
use crate::tenancy::{Role, TenantId, UserId};

/// What is stored of a user; all of it is optional, since a token suffices to be one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The name the user chose; else that of the token.
    pub name: Option<String>,
    /// The role an admin gave; else that of the token.
    pub role: Option<Role>,
    /// Grows with each change.
    #[serde(default)]
    pub version: u64,
}

/// The users of the tenants.
#[derive(Debug, Clone)]
pub struct Users {
    dynamodb: DynamoDb,
}

impl Users {
    /// The users in this database.
    pub fn new(dynamodb: &DynamoDb) -> Self {
        Self { dynamodb: dynamodb.clone() }
    }

    /// Changes the name.
    pub async fn rename(&self, tenant: &TenantId, user: &UserId, name: &str) -> Result<User, Error> {
        let request = self.update(tenant, user).update_expression("SET #field = :value ADD #version :one");
        let request = request.expression_attribute_names("#field", "name");
        self.apply(request.expression_attribute_values(":value", text(name))).await
    }

    /// Gives a role, whatever the tokens of the user say.
    pub async fn give_role(&self, tenant: &TenantId, user: &UserId, role: Role) -> Result<User, Error> {
        let request = self.update(tenant, user).update_expression("SET #field = :value ADD #version :one");
        let request = request.expression_attribute_names("#field", "role");
        let value = serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(role)?;
        self.apply(request.expression_attribute_values(":value", value)).await
    }

    fn update(&self, tenant: &TenantId, user: &UserId) -> UpdateItemFluentBuilder {
        self.dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::user(tenant, user).attributes()))
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .return_values(ReturnValue::AllNew)
    }

    async fn apply(&self, request: UpdateItemFluentBuilder) -> Result<User, Error> {
        from_item(request.send().await?.attributes)
    }
}

/// The user in its item.
pub(crate) fn from_item(item: Option<HashMap<String, AttributeValue>>) -> Result<User, Error> {
    item.map_or_else(|| Ok(User::default()), |item| Ok(serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?))
}
