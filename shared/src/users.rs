//! Users: what a tenant keeps of them beside what their tokens say.
//!
//! A user appears with the first verified request, or is invited. The role that an admin gave wins over the one in the
//! token. Who was removed stays as a mark, so that a token that is still good lets nobody in.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, TransactWriteItem, Update, builders::UpdateBuilder};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::audit;
use crate::auth::Claims;
use crate::clients::DynamoDb;
use crate::error::Error;
use crate::page::List;
use crate::tables::{self, Key, text};
use crate::tenancy::{CollectionId, Memberships, Role, TenantId, UserId};

/// The attribute of those who are listed, and what it says.
const STATE: &str = "state";
const PRESENT: &str = "present";

/// What is stored of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct User {
    /// The name that the user or an admin chose.
    pub name: Option<String>,
    /// The address that an admin gave.
    pub email: Option<String>,
    /// The role that an admin gave.
    pub role: Option<Role>,
    /// What the user's token said when it was last looked at.
    pub claims: Option<Claims>,
    /// The collections of which the user is a member.
    #[serde(default)]
    pub collections: Memberships,
    /// When the user first appeared or was invited.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
    /// When an admin last invited the user: keys from before a removal stay revoked.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub invited_at: Option<OffsetDateTime>,
    /// When the user was removed.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub removed_at: Option<OffsetDateTime>,
    /// Grows with each change that somebody made.
    #[serde(default)]
    pub version: u64,
}

/// A user in the list of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// The subject of the user's tokens.
    pub id: UserId,
    /// What is stored.
    #[serde(flatten)]
    pub user: User,
}

/// What an admin decides about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The role.
    pub role: Role,
    /// The memberships.
    pub collections: Memberships,
    /// The address, if it is to change.
    pub email: Option<String>,
    /// The name, if it is to change.
    pub name: Option<String>,
}

impl User {
    /// The role of the user, by the tenant's word or else by the token's.
    pub fn role(&self) -> Role {
        self.role.or(self.claims.as_ref().map(|claims| claims.role)).unwrap_or(Role::Viewer)
    }

    /// The name, by the tenant's word or else by the token's.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref().or_else(|| self.claims.as_ref()?.name.as_deref())
    }

    /// The address, by the token's word or else by the tenant's.
    pub fn email(&self) -> Option<&str> {
        self.claims.as_ref().and_then(|claims| claims.email.as_deref()).or(self.email.as_deref())
    }

    /// Whether the user may come in no more.
    pub fn is_removed(&self) -> bool {
        self.removed_at.is_some()
    }
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

    /// The user; [`Error::NotFound`] if the tenant has none by this id, or no longer.
    pub async fn get(&self, tenant: &TenantId, id: &UserId) -> Result<User, Error> {
        self.find(tenant, id).await?.filter(|user| !user.is_removed()).ok_or(Error::NotFound)
    }

    /// What is stored by this id, be it the mark of somebody who was removed.
    pub async fn find(&self, tenant: &TenantId, id: &UserId) -> Result<Option<User>, Error> {
        self.dynamodb.get(Key::user(tenant, id)).await?.map(from_item).transpose()
    }

    /// Notes what a verified token says of its user, who may be new. What somebody else noted meanwhile stays.
    pub async fn appear(
        &self,
        tenant: &TenantId,
        id: &UserId,
        claims: &Claims,
        known: Option<&User>,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let was = known.map(User::role);
        let is = known.and_then(|user| user.role).unwrap_or(claims.role);
        let noted = self
            .update(tenant, id)
            .update_expression(
                "SET claims = :claims, created_at = if_not_exists(created_at, :now), id = :id, #state = :present",
            )
            .condition_expression("attribute_not_exists(removed_at)")
            .expression_attribute_names("#state", STATE)
            .expression_attribute_values(":id", text(id.as_str()))
            .expression_attribute_values(":present", text(PRESENT))
            .expression_attribute_values(":claims", serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(claims)?)
            .expression_attribute_values(":now", tables::time(now)?);
        let mut writes = vec![part(noted)?];
        // The identity provider's word counts: it may take away the last owner.
        writes.extend(self.owners(tenant, id, was, is, false)?);
        // A condition that does not hold means that the user was removed, which the next request will be told.
        self.dynamodb.transact(writes).await.map(|_| ())
    }

    /// Invites a user, brings one back, or changes one, unless somebody else changed the user since `known` was read.
    pub async fn put(
        &self,
        tenant: &TenantId,
        id: &UserId,
        known: Option<&User>,
        decision: &Decision,
        entry: &audit::Entry,
    ) -> Result<(), Error> {
        let was = known.filter(|user| !user.is_removed()).map(User::role);
        let mut assignments = vec![
            "#role = :role",
            "collections = :collections",
            "created_at = if_not_exists(created_at, :now)",
            "id = :id",
            "#state = :present",
        ];
        let mut update = self
            .update(tenant, id)
            .expression_attribute_names("#role", "role")
            .expression_attribute_names("#state", STATE)
            .expression_attribute_values(":id", text(id.as_str()))
            .expression_attribute_values(":present", text(PRESENT))
            .expression_attribute_values(":role", text(decision.role.as_str()))
            .expression_attribute_values(
                ":collections",
                serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(&decision.collections)?,
            )
            .expression_attribute_values(":now", tables::time(entry.at)?);
        if let Some(name) = &decision.name {
            assignments.push("#name = :name");
            update =
                update.expression_attribute_names("#name", "name").expression_attribute_values(":name", text(name));
        }
        if let Some(email) = &decision.email {
            assignments.push("email = :email");
            update = update.expression_attribute_values(":email", text(email));
        }
        if was.is_none() {
            assignments.push("invited_at = :now");
        }
        let expression = format!("SET {} REMOVE removed_at ADD version :one", assignments.join(", "));
        let update = unchanged(update, known).update_expression(expression);
        let mut writes = vec![part(update)?, entry.write(&self.dynamodb, tenant)?];
        writes.extend(self.owners(tenant, id, was, decision.role, true)?);
        self.decide(writes).await
    }

    /// Removes a user. A mark stays, and so do the conversations until `changes` has purged them.
    pub async fn remove(
        &self,
        tenant: &TenantId,
        id: &UserId,
        known: &User,
        entry: &audit::Entry,
    ) -> Result<(), Error> {
        let update = unchanged(self.update(tenant, id), Some(known))
            .update_expression(
                "SET removed_at = :now REMOVE #role, #name, #state, email, claims, collections ADD version :one",
            )
            .expression_attribute_names("#state", STATE)
            .expression_attribute_names("#role", "role")
            .expression_attribute_names("#name", "name")
            .expression_attribute_values(":now", tables::time(entry.at)?);
        let mut writes = vec![part(update)?, entry.write(&self.dynamodb, tenant)?];
        writes.extend(self.owners(tenant, id, Some(known.role()), Role::Viewer, true)?);
        self.decide(writes).await
    }

    /// The users of a tenant in the order of their ids, for [`crate::page::Pages`].
    pub fn list(tenant: &TenantId) -> List<Listed> {
        List::new(tables::partition(tenant), tables::USER).only(STATE, [PRESENT.to_owned()])
    }

    /// Who is a member of a collection.
    pub async fn members(&self, tenant: &TenantId, collection: &CollectionId) -> Result<Vec<UserId>, Error> {
        let users = self.dynamodb.all(tables::partition(tenant), tables::USER).await?;
        let mut members = Vec::new();
        for item in users {
            let is_member = from_item(item.clone())?.collections.contains_key(collection);
            members.extend(item.get("id").filter(|_| is_member).and_then(|id| id.as_s().ok()?.parse().ok()));
        }
        Ok(members)
    }

    /// Takes a collection out of the memberships of a user.
    pub async fn leave(&self, tenant: &TenantId, id: &UserId, collection: &CollectionId) -> Result<(), Error> {
        let leave = self
            .dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::user(tenant, id).attributes()))
            .update_expression("REMOVE collections.#collection ADD version :one")
            .condition_expression("attribute_exists(collections.#collection)")
            .expression_attribute_names("#collection", collection.as_str())
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
        match leave.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes the name, by the user's own wish.
    pub async fn rename(&self, tenant: &TenantId, id: &UserId, name: &str) -> Result<User, Error> {
        let answer = self
            .dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::user(tenant, id).attributes()))
            .update_expression("SET #name = :name ADD version :one")
            .expression_attribute_names("#name", "name")
            .expression_attribute_values(":name", text(name))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .return_values(ReturnValue::AllNew)
            .send()
            .await?;
        from_item(answer.attributes.unwrap_or_default())
    }

    /// The part of a transaction that keeps the set of owners, if it changes. With `guarded` the last one stays.
    fn owners(
        &self,
        tenant: &TenantId,
        id: &UserId,
        was: Option<Role>,
        is: Role,
        guarded: bool,
    ) -> Result<Option<TransactWriteItem>, Error> {
        let set = AttributeValue::Ss(vec![id.to_string()]);
        let update = Update::builder()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::owners(tenant).attributes()))
            .expression_attribute_values(":set", set);
        let update = match (was == Some(Role::Owner), is == Role::Owner) {
            (false, true) => update.update_expression("ADD owners :set"),
            (true, false) if guarded => update
                .update_expression("DELETE owners :set")
                .condition_expression("NOT contains(owners, :id) OR size(owners) > :one")
                .expression_attribute_values(":id", text(id.as_str()))
                .expression_attribute_values(":one", AttributeValue::N("1".to_owned())),
            (true, false) => update.update_expression("DELETE owners :set"),
            _ => return Ok(None),
        };
        part(update).map(Some)
    }

    /// Sends a change of a user, its entry in the trail and perhaps a change of the owners, in this order.
    async fn decide(&self, writes: Vec<TransactWriteItem>) -> Result<(), Error> {
        match self.dynamodb.transact(writes).await? {
            Ok(()) => Ok(()),
            Err(0) => Err(Error::Conflict("The user was changed by somebody else meanwhile.")),
            Err(_) => Err(Error::Conflict("The last owner can neither be removed nor be given another role.")),
        }
    }

    fn update(&self, tenant: &TenantId, id: &UserId) -> UpdateBuilder {
        Update::builder().table_name(&self.dynamodb.table).set_key(Some(Key::user(tenant, id).attributes()))
    }
}

/// Adds the condition that nobody changed the user since.
fn unchanged(update: UpdateBuilder, known: Option<&User>) -> UpdateBuilder {
    let update = update.expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
    match known.map_or(0, |user| user.version) {
        0 => update.condition_expression("attribute_not_exists(version)"),
        version => update
            .condition_expression("version = :version")
            .expression_attribute_values(":version", AttributeValue::N(version.to_string())),
    }
}

fn part(update: UpdateBuilder) -> Result<TransactWriteItem, Error> {
    Ok(TransactWriteItem::builder().update(update.build().map_err(Error::internal)?).build())
}

/// The user in an item.
pub(crate) fn from_item(item: HashMap<String, AttributeValue>) -> Result<User, Error> {
    Ok(serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?)
}
