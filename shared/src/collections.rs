//! Collections: named sets of documents, the unit of permission.

mod editions;

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, Select, TransactWriteItem, Update};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use crate::audit;
use crate::clients::DynamoDb;
use crate::documents::Documents;
use crate::editions::Edition;
use crate::error::Error;
use crate::tables::{self, Key, text};
use crate::tenancy::{Access, CollectionId, TenantId};
use crate::users::Users;

/// How many collections a tenant may have: a search asks each of them.
pub const MAX_COLLECTIONS: usize = 50;

/// A collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Collection {
    /// Chosen by the client.
    pub id: CollectionId,
    /// For people.
    pub name: String,
    /// Who may read it.
    pub access: Access,
}

/// What the door knows of a tenant's collections.
#[derive(Debug, Default)]
pub struct Overview {
    /// Who may read each.
    pub access: BTreeMap<CollectionId, Access>,
    /// Those whose documents all have vectors of an edition after the first.
    pub editions: BTreeMap<CollectionId, Edition>,
    /// Whether there were others, of which documents may be left.
    pub had_others: bool,
}

/// A collection as it is stored. One that was deleted stays as a mark, so that nothing of it comes back when another is
/// made by its id before all of its documents are gone.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    collection: Collection,
    /// When it was deleted.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    deleted_at: Option<OffsetDateTime>,
    /// The edition that all of its documents have vectors of, if it is not the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edition: Option<Edition>,
}

/// The collections of the tenants.
#[derive(Debug, Clone)]
pub struct Collections {
    dynamodb: DynamoDb,
}

impl Collections {
    /// The collections in this database.
    pub fn new(dynamodb: &DynamoDb) -> Self {
        Self { dynamodb: dynamodb.clone() }
    }

    /// All collections of the tenant in the order of their ids. The default one needs no item to exist.
    pub async fn list(&self, tenant: &TenantId) -> Result<Vec<Collection>, Error> {
        Ok(self.read(tenant).await?.0.into_iter().map(|stored| stored.collection).collect())
    }

    /// The collections, and whether there were others, of which something may be left.
    async fn read(&self, tenant: &TenantId) -> Result<(Vec<Stored>, bool), Error> {
        let items = self.dynamodb.all(tables::partition(tenant), tables::COLLECTION).await?;
        let stored: Vec<Stored> = serde_dynamo::aws_sdk_dynamodb_1::from_items(items)?;
        let (mut live, deleted): (Vec<_>, Vec<_>) = stored.into_iter().partition(Stored::is_live);
        let default = CollectionId::default_collection();
        if live.iter().all(|stored| stored.collection.id != default) {
            live.push(Stored { collection: default_collection(), deleted_at: None, edition: None });
            live.sort_by(|a, b| a.collection.id.cmp(&b.collection.id));
        }
        Ok((live, !deleted.is_empty()))
    }

    /// Who may read each collection, and what else the door wants to know.
    pub async fn overview(&self, tenant: &TenantId) -> Result<Overview, Error> {
        let (collections, had_others) = self.read(tenant).await?;
        let mut overview = Overview { had_others, ..Overview::default() };
        for Stored { collection, edition, .. } in collections {
            overview.editions.extend(edition.map(|edition| (collection.id.clone(), edition)));
            overview.access.insert(collection.id, collection.access);
        }
        Ok(overview)
    }

    /// Whether the tenant has the collection, by the latest state.
    pub async fn exists(&self, tenant: &TenantId, id: &CollectionId) -> Result<bool, Error> {
        Ok(*id == CollectionId::default_collection() || self.find(tenant, id).await?.is_some_and(|it| it.is_live()))
    }

    /// Makes a collection, or describes it anew. Not while documents or members are left of one by this id that was deleted.
    pub async fn put(&self, tenant: &TenantId, collection: &Collection, entry: &audit::Entry) -> Result<(), Error> {
        const LEFT: Error = Error::Conflict("Something is left of a collection by this id; try again in a while.");
        let deleted = self.find(tenant, &collection.id).await?.and_then(|stored| stored.deleted_at);
        if let Some(deleted_at) = deleted
            && self.has_left(tenant, &collection.id).await?
        {
            // The stream brings the mark to `changes` once more, in case it was worked off too early.
            self.mark_deleted(tenant, &collection.id, deleted_at + Duration::nanoseconds(1)).await?;
            return Err(LEFT);
        }
        let update = Update::builder()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::collection(tenant, &collection.id).attributes()))
            .set_expression_attribute_names(Some(names()))
            .set_expression_attribute_values(Some(values(collection)?));
        // How far it is re-embedded stays as it is, unless it is another collection by the same id.
        let update = match deleted {
            None => update
                .update_expression("SET #id = :id, #name = :name, #access = :access")
                .condition_expression("attribute_not_exists(deleted_at)"),
            Some(deleted_at) => update
                .update_expression(
                    "SET #id = :id, #name = :name, #access = :access REMOVE deleted_at, edition, edition_check",
                )
                .condition_expression("deleted_at = :deleted_at")
                .expression_attribute_values(":deleted_at", tables::time(deleted_at)?),
        };
        let update = TransactWriteItem::builder().update(update.build().map_err(Error::internal)?).build();
        self.dynamodb.transact(vec![update, entry.write(&self.dynamodb, tenant)?]).await?.map_err(|_| LEFT)
    }

    /// Deletes a collection: from here on neither it nor its documents exist for anyone. [`Error::NotFound`] if there is
    /// none. `changes` removes the documents.
    pub async fn delete(&self, tenant: &TenantId, id: &CollectionId, entry: &audit::Entry) -> Result<(), Error> {
        let update = Update::builder()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::collection(tenant, id).attributes()))
            .update_expression("SET deleted_at = :now")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(deleted_at)")
            .expression_attribute_values(":now", tables::time(entry.at)?);
        let update = TransactWriteItem::builder().update(update.build().map_err(Error::internal)?).build();
        let writes = vec![update, entry.write(&self.dynamodb, tenant)?];
        self.dynamodb.transact(writes).await?.map_err(|_| Error::NotFound)
    }

    async fn find(&self, tenant: &TenantId, id: &CollectionId) -> Result<Option<Stored>, Error> {
        let item = self.dynamodb.get(Key::collection(tenant, id)).await?;
        Ok(item.map(serde_dynamo::aws_sdk_dynamodb_1::from_item).transpose()?)
    }

    async fn mark_deleted(&self, tenant: &TenantId, id: &CollectionId, when: OffsetDateTime) -> Result<(), Error> {
        self.dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.table)
            .set_key(Some(Key::collection(tenant, id).attributes()))
            .update_expression("SET deleted_at = :when")
            .expression_attribute_values(":when", tables::time(when)?)
            .send()
            .await?;
        Ok(())
    }

    /// Whether any document of the tenant is in the collection, or anybody a member of it, by the latest state.
    async fn has_left(&self, tenant: &TenantId, id: &CollectionId) -> Result<bool, Error> {
        let (documents, users) = (Documents::new(&self.dynamodb), Users::new(&self.dynamodb));
        let (documents, members) = futures::try_join!(documents.ids_in(tenant, id, 1), users.members(tenant, id))?;
        Ok(!documents.is_empty() || !members.is_empty())
    }

    /// How many documents the collection has.
    pub async fn count_documents(&self, tenant: &TenantId, id: &CollectionId) -> Result<u64, Error> {
        let mut count = 0;
        let mut start = None;
        loop {
            let answer = self
                .dynamodb
                .client
                .query()
                .table_name(&self.dynamodb.table)
                .index_name(tables::BY_COLLECTION)
                .select(Select::Count)
                .key_condition_expression("collection_key = :pk")
                .expression_attribute_values(":pk", text(tables::collection_partition(tenant, id)))
                .set_exclusive_start_key(start)
                .send()
                .await?;
            count += u64::from(answer.count.unsigned_abs());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
    }
}

fn default_collection() -> Collection {
    let id = CollectionId::default_collection();
    Collection { name: id.to_string(), id, access: Access::Tenant }
}

/// The attributes that describe a collection, as they are named in expressions.
fn names() -> HashMap<String, String> {
    ["id", "name", "access"].map(|name| (format!("#{name}"), name.to_owned())).into()
}

/// What they are.
fn values(collection: &Collection) -> Result<HashMap<String, AttributeValue>, Error> {
    let item: HashMap<String, AttributeValue> = serde_dynamo::aws_sdk_dynamodb_1::to_item(collection)?;
    Ok(item.into_iter().map(|(name, value)| (format!(":{name}"), value)).collect())
}

impl Stored {
    fn is_live(&self) -> bool {
        self.deleted_at.is_none()
    }
}
