use std::collections::HashMap;

use super::candidate::Candidate;
use super::filter::Filter;
use super::places::Place;
use crate::documents::{Document, Documents};
use crate::error::Error;
use crate::tenancy::{DocumentId, TenantId};

/// Those of the candidates that may be shown, and their documents by a consistent read: each is of the version that its
/// document serves, in a place that was asked for, and passes the filter. Indexes lag behind the documents, so what was
/// deleted, replaced, moved or described anew may still be found in them.
pub(super) async fn current(
    documents: &Documents,
    tenant: &TenantId,
    places: &[Place],
    filter: Option<&Filter>,
    mut candidates: Vec<Candidate>,
) -> Result<(Vec<Candidate>, HashMap<DocumentId, Document>), Error> {
    let documents = documents.get_many(tenant, candidates.iter().map(|candidate| candidate.document_id)).await?;
    candidates.retain(|candidate| {
        documents.get(&candidate.document_id).is_some_and(|document| {
            document.served_version == Some(candidate.chunk.version)
                && places.iter().any(|place| place.holds(document))
                && filter.is_none_or(|filter| filter.matches(&document.metadata))
        })
    });
    Ok((candidates, documents))
}
