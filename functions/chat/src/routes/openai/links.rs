use std::collections::HashMap;

use shared::clients::{BlobKey, ContentUrls};
use shared::documents::{Document, Documents};
use shared::error::Error;
use shared::tenancy::{DocumentId, Principal};
use time::OffsetDateTime;

use crate::dialect::openai::Link;

/// Where the originals of documents can be fetched for some minutes; none for what is gone, or must not be read any more.
pub(super) async fn links(
    documents: &Documents,
    urls: &ContentUrls,
    principal: &Principal,
    ids: impl IntoIterator<Item = DocumentId>,
) -> Result<HashMap<DocumentId, Link>, Error> {
    let mut links = HashMap::new();
    for (id, document) in documents.get_many(&principal.tenant, ids).await? {
        if let Some(version) = document.served_version.filter(|_| principal.reads(&document.collection)) {
            links.insert(id, link(urls, principal, document, version).await?);
        }
    }
    Ok(links)
}

async fn link(urls: &ContentUrls, principal: &Principal, document: Document, version: u32) -> Result<Link, Error> {
    let key = BlobKey { tenant: principal.tenant.clone(), document: document.id, version };
    let url = urls.url(&key, &document.filename, &document.content_type, OffsetDateTime::now_utc()).await?;
    Ok(Link { title: document.filename, url })
}
