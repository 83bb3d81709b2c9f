//! Editions: the embedding models that a deployment has had, by number. Each has a vector index of its own over an attribute
//! of its own, on the same passages, so that one is filled while another is searched.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, CreateVectorIndexAction, DeleteVectorIndexAction, Projection, ProjectionType, SearchSchemaElement,
    SearchSchemaElementType, VectorAttributeDefinition, VectorDistanceFunction, VectorIndex, VectorIndexDescription,
    VectorIndexUpdate,
};
use serde::{Deserialize, Serialize};

use crate::clients::DynamoDb;
use crate::error::Error;
use crate::tables;

/// The number of an embedding model of the deployment, from 1. It only grows: a number that stood for another model once
/// would find that one's vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Edition(u32);

impl Edition {
    /// That of the first model.
    pub const FIRST: Self = Self(1);

    /// The edition with this number; `None` for 0.
    pub fn new(number: u32) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// That of the model after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The name of its vector index.
    pub fn index(self) -> String {
        self.name("by_embedding")
    }

    /// The attribute that holds its vectors.
    pub(crate) fn vector(self) -> String {
        self.name("embedding")
    }

    /// The attribute that tells what the vector is of.
    pub(crate) fn fingerprint(self) -> String {
        self.name("embedded")
    }

    fn name(self, first: &str) -> String {
        if self == Self::FIRST { first.to_owned() } else { format!("{first}_{self}") }
    }

    fn of_index(name: &str) -> Option<Self> {
        let number = name.strip_prefix("by_embedding_").map_or(Some(1), |number| number.parse().ok());
        Self::new(number?).filter(|edition| edition.index() == name)
    }
}

impl Default for Edition {
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Edition> for AttributeValue {
    fn from(edition: Edition) -> Self {
        Self::N(edition.to_string())
    }
}

/// The index of an edition, for vectors of `dimensions` numbers.
pub(crate) fn definition(edition: Edition, dimensions: usize) -> Result<VectorIndex, Error> {
    VectorIndex::builder()
        .index_name(edition.index())
        .vector_attribute(attribute(edition)?)
        .set_search_schema(Some(search_schema()?))
        .projection(projection())
        .dimensions(i64::try_from(dimensions).map_err(Error::internal)?)
        .distance_function(VectorDistanceFunction::Cosine)
        .build()
        .map_err(Error::internal)
}

fn attribute(edition: Edition) -> Result<VectorAttributeDefinition, Error> {
    VectorAttributeDefinition::builder().attribute_name(edition.vector()).build().map_err(Error::internal)
}

fn search_schema() -> Result<Vec<SearchSchemaElement>, Error> {
    let element = |name: &str, kind| {
        let element = SearchSchemaElement::builder().attribute_name(name).search_schema_element_type(kind);
        element.build().map_err(Error::internal)
    };
    Ok(vec![
        element("scope", SearchSchemaElementType::Hash)?,
        element("document_id", SearchSchemaElementType::InlineFilter)?,
    ])
}

fn projection() -> Projection {
    Projection::builder()
        .projection_type(ProjectionType::Include)
        .set_non_key_attributes(Some(tables::PROJECTED.map(str::to_owned).to_vec()))
        .build()
}

/// The editions that have an index, each with the length of its vectors.
pub async fn indexed(dynamodb: &DynamoDb) -> Result<BTreeMap<Edition, usize>, Error> {
    let answer = dynamodb.client.describe_table().table_name(&dynamodb.chunks_table).send().await?;
    let indexes = answer.table.and_then(|table| table.vector_indexes).unwrap_or_default();
    let edition = |index: &VectorIndexDescription| {
        Some((Edition::of_index(index.index_name()?)?, usize::try_from(index.dimensions()?).ok()?))
    };
    Ok(indexes.iter().filter_map(edition).collect())
}

/// Adds the index of an edition, unless there is one. It may take a while until it answers.
pub async fn add(dynamodb: &DynamoDb, edition: Edition, dimensions: usize) -> Result<(), Error> {
    let create = CreateVectorIndexAction::builder()
        .index_name(edition.index())
        .vector_attribute(attribute(edition)?)
        .set_search_schema(Some(search_schema()?))
        .projection(projection())
        .dimensions(i64::try_from(dimensions).map_err(Error::internal)?)
        .distance_function(VectorDistanceFunction::Cosine)
        .build()
        .map_err(Error::internal)?;
    if indexed(dynamodb).await?.contains_key(&edition) {
        return Ok(());
    }
    let mut request = change(dynamodb, VectorIndexUpdate::builder().create(create).build());
    for attribute in ["scope", "document_id"] {
        request = request.attribute_definitions(tables::string(attribute)?);
    }
    request.send().await?;
    Ok(())
}

/// Removes the index of an edition, if there is one. The vectors stay with the passages.
pub async fn remove(dynamodb: &DynamoDb, edition: Edition) -> Result<(), Error> {
    let delete = DeleteVectorIndexAction::builder().index_name(edition.index()).build().map_err(Error::internal)?;
    match change(dynamodb, VectorIndexUpdate::builder().delete(delete).build()).send().await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn change(dynamodb: &DynamoDb, update: VectorIndexUpdate) -> UpdateTableFluentBuilder {
    dynamodb.client.update_table().table_name(&dynamodb.chunks_table).vector_index_updates(update)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_edition_has_the_names_it_always_had() {
        let second = Edition::FIRST.next();
        for (edition, index, vector) in
            [(Edition::FIRST, "by_embedding", "embedding"), (second, "by_embedding_2", "embedding_2")]
        {
            assert_eq!((edition.index().as_str(), edition.vector().as_str()), (index, vector));
            assert_eq!(Edition::of_index(index), Some(edition));
        }
        for other in ["by_collection", "by_embedding_", "by_embedding_1", "by_embedding_0", "by_embedding_02"] {
            assert_eq!(Edition::of_index(other), None, "{other}");
        }
    }
}
