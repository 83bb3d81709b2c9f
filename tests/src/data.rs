//! Things beside the project that some tests need. Where they are absent, such a test says so and passes.

use std::path::{Path, PathBuf};

use shared::clients::DynamoDb;
use shared::documents::{Document, Documents, Metadata, Status};
use shared::tenancy::{CollectionId, DocumentId, TenantId};
use time::OffsetDateTime;

pub(crate) fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file of the project.
pub fn project_file(path: &str) -> String {
    std::fs::read_to_string(project().join(path)).unwrap()
}

/// The sample documents beside the project.
pub fn documents() -> Option<PathBuf> {
    present("../shared/data/documents", "the sample documents")
}

/// The weights that `make test` fetches.
pub fn weights() -> Option<PathBuf> {
    present(".ragline/models/all-MiniLM-L6-v2", "the weights of all-MiniLM-L6-v2")
}

/// Something beside the project or installed in it.
pub(crate) fn present(path: &str, what: &str) -> Option<PathBuf> {
    let path = project().join(path);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {what} are not in {}", path.display());
    None
}

/// Documents without text, written past the API, one after another to the tenants `tenant-0`, `tenant-1` and so on. Gives
/// the number of each one's tenant and its id.
pub async fn stored_documents(dynamodb: &DynamoDb, number: u32, tenants: u32) -> Vec<(usize, DocumentId)> {
    let (documents, mut stored) = (Documents::new(dynamodb), Vec::new());
    let now = OffsetDateTime::now_utc();
    for n in 0..number {
        let tenant: TenantId = format!("tenant-{}", n % tenants).parse().unwrap();
        let document = Document {
            id: DocumentId::new(),
            collection: CollectionId::default_collection(),
            filename: format!("{n}.txt"),
            content_type: "text/plain".to_owned(),
            size_bytes: 1,
            sha256: Some(format!("{n:064x}")),
            version: 1,
            served_version: None,
            status: Status::Ready,
            stages: Vec::new(),
            error: None,
            chunk_count: 0,
            language: None,
            metadata: Metadata::new(),
            created_at: now,
            updated_at: now,
            created_by: "ada".parse().unwrap(),
            trace: None,
        };
        documents.create(&tenant, &document, now).await.unwrap();
        stored.push(((n % tenants) as usize, document.id));
    }
    stored
}
