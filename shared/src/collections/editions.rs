//! Of which edition all documents of a collection have vectors.
//!
//! A collection becomes complete in an edition in two steps: [`Collections::check`] leaves a check in its item, and
//! [`Collections::complete`] takes note only if the check is still there. A document without vectors of the edition that is
//! moved into the collection takes the check and the note away ([`crate::documents::Documents::change`]), so none slips in
//! between.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use ulid::Ulid;

use super::{Collections, default_collection, names, values};
use crate::editions::Edition;
use crate::error::Error;
use crate::tables::{Key, text};
use crate::tenancy::{CollectionId, TenantId};

/// A check that was left in a collection.
#[derive(Debug)]
pub struct Check(String);

impl Collections {
    /// Says that it is being looked whether the collection is complete. `None` if it is gone.
    pub async fn check(&self, tenant: &TenantId, id: &CollectionId) -> Result<Option<Check>, Error> {
        let check = Ulid::generate().to_string();
        let update = self.update(tenant, id).expression_attribute_values(":check", text(&check));
        let update = if *id == CollectionId::default_collection() {
            // It may have no item yet.
            let described = "SET #id = if_not_exists(#id, :id), #name = if_not_exists(#name, :name), \
                             #access = if_not_exists(#access, :access), edition_check = :check";
            let values = values(&default_collection())?.into_iter().chain([(":check".to_owned(), text(&check))]);
            update
                .update_expression(described)
                .set_expression_attribute_names(Some(names()))
                .set_expression_attribute_values(Some(values.collect()))
        } else {
            update
                .update_expression("SET edition_check = :check")
                .condition_expression("attribute_exists(pk) AND attribute_not_exists(deleted_at)")
        };
        Ok(held(update).await?.then_some(Check(check)))
    }

    /// Takes note that all documents of the collection have vectors of the edition. False if one without may have come since
    /// the check.
    pub async fn complete(
        &self,
        tenant: &TenantId,
        id: &CollectionId,
        edition: Edition,
        check: &Check,
    ) -> Result<bool, Error> {
        let update = self
            .update(tenant, id)
            .update_expression("SET edition = :edition REMOVE edition_check")
            .condition_expression("edition_check = :check AND attribute_not_exists(deleted_at)")
            .expression_attribute_values(":check", text(&check.0))
            .expression_attribute_values(":edition", edition.into());
        held(update).await
    }

    /// Takes back that it is complete, or being checked.
    pub(crate) async fn incomplete(&self, tenant: &TenantId, id: &CollectionId) -> Result<(), Error> {
        let update = self
            .update(tenant, id)
            .update_expression("REMOVE edition, edition_check")
            .condition_expression("attribute_exists(pk)");
        held(update).await.map(|_| ())
    }

    fn update(&self, tenant: &TenantId, id: &CollectionId) -> UpdateItemFluentBuilder {
        let update = self.dynamodb.client.update_item().table_name(&self.dynamodb.table);
        update.set_key(Some(Key::collection(tenant, id).attributes()))
    }
}

/// Whether the condition held.
async fn held(update: UpdateItemFluentBuilder) -> Result<bool, Error> {
    match update.send().await {
        Ok(_) => Ok(true),
        Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => Ok(false),
        Err(error) => Err(error.into()),
    }
}
