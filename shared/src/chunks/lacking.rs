//! Passages that have no vector of a model yet, and how they get it.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::{Chunks, Fingerprint, Item, SIDE_BY_SIDE, SOURCE, Vector};
use crate::embed::Model;
use crate::error::Error;
use crate::tables::{self, text};
use crate::tenancy::{DocumentId, TenantId};

/// A passage that lacks a vector.
#[derive(Debug)]
pub struct Lacking {
    key: Item,
    text: String,
    /// What is to be embedded.
    pub source: String,
    /// What the vector will be of.
    pub fingerprint: Fingerprint,
}

/// Where to go on among the passages of a document.
#[derive(Debug)]
pub struct Rest(Item);

impl Chunks {
    /// Passages of a document, of whatever version, that have no vector of the model or one of another text, and where to go on
    /// if there may be more.
    pub async fn lacking(
        &self,
        tenant: &TenantId,
        document: DocumentId,
        model: &Model,
        rest: Option<Rest>,
    ) -> Result<(Vec<Lacking>, Option<Rest>), Error> {
        let answer = self
            .passages(&tables::document_partition(tenant, document))
            .projection_expression("pk, sk, #text, #source, heading, #fingerprint")
            .expression_attribute_names("#text", "text")
            .expression_attribute_names("#source", SOURCE)
            .expression_attribute_names("#fingerprint", model.edition.fingerprint())
            .set_exclusive_start_key(rest.map(|rest| rest.0))
            .send()
            .await?;
        let items = answer.items.unwrap_or_default();
        let lacking = items.into_iter().filter_map(|item| lacking(item, model)).collect();
        Ok((lacking, answer.last_evaluated_key.map(Rest)))
    }

    /// Gives passages their vectors. One that was removed or written anew meanwhile stays as it is.
    pub async fn complete(&self, passages: Vec<(Lacking, Vector)>) -> Result<(), Error> {
        let writes = stream::iter(passages).map(|(passage, vector)| self.complete_one(passage, vector));
        writes.buffer_unordered(SIDE_BY_SIDE).try_collect().await
    }

    async fn complete_one(&self, passage: Lacking, vector: Vector) -> Result<(), Error> {
        let edition = vector.edition;
        let [(_, fingerprint), (_, numbers)] = vector.attributes();
        let update = self
            .dynamodb
            .client
            .update_item()
            .table_name(&self.dynamodb.chunks_table)
            .set_key(Some(passage.key))
            .update_expression("SET #vector = :vector, #fingerprint = :fingerprint")
            .condition_expression("#text = :text")
            .expression_attribute_names("#text", "text")
            .expression_attribute_names("#vector", edition.vector())
            .expression_attribute_names("#fingerprint", edition.fingerprint())
            .expression_attribute_values(":text", text(passage.text))
            .expression_attribute_values(":vector", numbers)
            .expression_attribute_values(":fingerprint", fingerprint);
        match update.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(service)) if service.err().is_conditional_check_failed_exception() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn lacking(mut item: Item, model: &Model) -> Option<Lacking> {
    let mut take = |name: &str| match item.remove(name) {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    };
    let (text, source, heading) = (take("text")?, take(SOURCE), take("heading"));
    let has = take(&model.edition.fingerprint());
    // What releases before wrote does not say what was embedded.
    let source = source.unwrap_or_else(|| match heading {
        Some(heading) => format!("{heading}\n{text}"),
        None => text.clone(),
    });
    let fingerprint = Fingerprint::of(&source, model.embedder.as_ref());
    (has.as_ref() != Some(&fingerprint.0)).then_some(Lacking { key: item, text, source, fingerprint })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::editions::Edition;
    use crate::embed::HashingEmbedder;

    #[test]
    fn what_was_embedded_is_known_or_made_of_heading_and_text() {
        let model = Model { edition: Edition::FIRST.next(), embedder: Arc::new(HashingEmbedder::new(64)) };
        let item = |attributes: &[(&str, &str)]| -> Item {
            let key = [("pk", "p"), ("sk", "s"), ("text", "They swim.")];
            key.iter().chain(attributes).map(|(name, value)| ((*name).to_owned(), text(*value))).collect()
        };
        let source = |attributes: &[(&str, &str)]| lacking(item(attributes), &model).map(|lacking| lacking.source);
        assert_eq!(
            source(&[("heading", "Ducks"), ("source", "Birds › Ducks\nThey swim.")]).unwrap(),
            "Birds › Ducks\nThey swim."
        );
        assert_eq!(source(&[("heading", "Ducks")]).unwrap(), "Ducks\nThey swim.");
        assert_eq!(source(&[]).unwrap(), "They swim.");

        let fingerprint = Fingerprint::of("They swim.", model.embedder.as_ref()).0;
        assert_eq!(source(&[("embedded", &fingerprint)]).unwrap(), "They swim.", "another edition's");
        assert_eq!(source(&[("embedded_2", "of another text")]).unwrap(), "They swim.");
        assert!(source(&[("embedded_2", &fingerprint)]).is_none(), "it has its vector");
    }
}
