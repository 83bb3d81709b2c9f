use std::fmt;
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{ProvideCredentials, SharedCredentialsProvider};
use bytes::Bytes;
use futures::future::ready;
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, CredentialProvider, ObjectStore, ObjectStoreExt, WriteMultipart};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::announcements::Announcements;
use super::aws_http::AWS_IDLE_LIMIT;
use super::lazy_http::LazyHttp;
use super::measured::MeasuredStore;
use super::tenant_sessions::TenantSessions;
use super::{ClientError, emulated_credentials};
use crate::acting;
use crate::config::{BlobsConfig, BlobsLocation};
use crate::error::Error;
use crate::tenancy::{DocumentId, TenantId};

/// Parts of one upload that are written side by side.
const PARTS_AT_ONCE: usize = 2;

/// The object storage: a bucket, or a folder of this machine. Every path in it is made from a tenant.
#[derive(Debug, Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// The store again, if it signs addresses by itself.
    pub(super) bucket: Option<Bucket>,
    announcements: Option<Announcements>,
}

/// A bucket, and who may sign addresses of what is in it.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub(super) store: Arc<AmazonS3>,
    pub(super) region: String,
    pub(super) credentials: Option<SharedCredentialsProvider>,
}

/// The original of one version of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobKey {
    /// Whose document it is.
    pub tenant: TenantId,
    /// The document.
    pub document: DocumentId,
    /// Its version.
    pub version: u32,
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// How many bytes.
    pub size_bytes: u64,
    /// Their SHA-256 in hexadecimal.
    pub sha256: String,
}

impl BlobKey {
    /// Where the bytes lie. The client's file name is no part of it, so that no name can be too long, forbidden or
    /// misleading; the document knows the name.
    pub(super) fn path(&self) -> Path {
        Path::from(self.to_string())
    }

    /// Where everything of the version lies.
    fn folder(&self) -> Path {
        Path::from(format!("t/{}/{}/{}", self.tenant, self.document, self.version))
    }

    /// Where a page of the extracted text lies.
    fn text(&self, page: usize) -> Path {
        self.folder().join("text").join(page.to_string())
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t/{}/{}/{}/original", self.tenant, self.document, self.version)
    }
}

/// A path that is not one of [`BlobKey`]'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the path of an original")]
pub struct NotABlobKey;

impl FromStr for BlobKey {
    type Err = NotABlobKey;

    fn from_str(path: &str) -> Result<Self, NotABlobKey> {
        let parts: Vec<_> = path.split('/').collect();
        let ["t", tenant, document, version, "original"] = parts.as_slice() else { return Err(NotABlobKey) };
        Ok(Self {
            tenant: tenant.parse().map_err(|_| NotABlobKey)?,
            document: document.parse().map_err(|_| NotABlobKey)?,
            version: version.parse().map_err(|_| NotABlobKey)?,
        })
    }
}

impl Blobs {
    /// Stores bytes. The storage announces the new object, so that a worker takes it up.
    pub async fn put(&self, key: &BlobKey, bytes: Bytes) -> Result<(), Error> {
        let size = bytes.len();
        self.store.put(&key.path(), bytes.into()).await?;
        match &self.announcements {
            Some(announcements) => announcements.announce(&key.path(), size).map_err(Error::unavailable),
            None => Ok(()),
        }
    }

    /// Whether the bytes are there.
    pub async fn exists(&self, key: &BlobKey) -> Result<bool, Error> {
        match self.store.head(&key.path()).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The bytes, if they are there.
    pub async fn get(&self, key: &BlobKey) -> Result<Option<Bytes>, Error> {
        match self.store.get(&key.path()).await {
            Ok(object) => Ok(Some(object.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the bytes to a file and says which they are; `None` if they are not there. Large ones need no memory.
    pub async fn fetch(&self, key: &BlobKey, file: &std::path::Path) -> Result<Option<Fetched>, Error> {
        let mut pieces = match self.store.get(&key.path()).await {
            Ok(object) => object.into_stream(),
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let failed = |error: std::io::Error| Error::unavailable(format!("a temporary file: {error}"));
        let mut file = File::create(file).await.map_err(failed)?;
        let (mut size_bytes, mut hash) = (0, Sha256::new());
        while let Some(piece) = pieces.try_next().await? {
            size_bytes += piece.len() as u64;
            hash.update(&piece);
            file.write_all(&piece).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        Ok(Some(Fetched { size_bytes, sha256: hex::encode(hash.finalize()) }))
    }

    /// Stores bytes as they come, never all of them in memory, and announces them. Nothing is stored if an error is among them.
    pub async fn receive(&self, key: &BlobKey, bytes: impl Stream<Item = Result<Bytes, Error>>) -> Result<(), Error> {
        let upload = self.store.put_multipart(&key.path()).await?;
        let (mut writer, mut size) = (WriteMultipart::new(upload), 0);
        let mut bytes = pin!(bytes);
        while let Some(part) = bytes.next().await {
            match part {
                Ok(part) => {
                    size += part.len();
                    writer.wait_for_capacity(PARTS_AT_ONCE).await?;
                    writer.put(part);
                }
                Err(error) => {
                    writer.abort().await?;
                    return Err(error);
                }
            }
        }
        writer.finish().await?;
        match &self.announcements {
            Some(announcements) => announcements.announce(&key.path(), size).map_err(Error::unavailable),
            None => Ok(()),
        }
    }

    /// Stores a page of the text that was extracted from an original.
    pub async fn put_text(&self, key: &BlobKey, page: usize, text: String) -> Result<(), Error> {
        self.store.put(&key.text(page), text.into()).await?;
        Ok(())
    }

    /// A page of the extracted text, if there is one.
    pub async fn text(&self, key: &BlobKey, page: usize) -> Result<Option<String>, Error> {
        match self.store.get(&key.text(page)).await {
            Ok(object) => Ok(Some(String::from_utf8(object.bytes().await?.into()).map_err(Error::internal)?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes everything of one version, the original and its text.
    pub async fn delete_version(&self, key: &BlobKey) -> Result<(), Error> {
        self.delete_below(key.folder(), |_| true).await
    }

    /// Removes everything of the versions of a document before one.
    pub async fn delete_before(&self, tenant: &TenantId, document: DocumentId, version: u32) -> Result<(), Error> {
        let is_before = move |object: &Path| version_of(object).is_some_and(|found| found < version);
        self.delete_below(document_folder(tenant, document), is_before).await
    }

    /// Removes everything of a document.
    pub async fn delete_document(&self, tenant: &TenantId, document: DocumentId) -> Result<(), Error> {
        self.delete_below(document_folder(tenant, document), |_| true).await
    }

    /// How many objects there are of a document.
    pub async fn count(&self, tenant: &TenantId, document: DocumentId) -> Result<usize, Error> {
        let objects = self.store.list(Some(&document_folder(tenant, document)));
        Ok(objects.try_fold(0, async |count, _| Ok(count + 1)).await?)
    }

    async fn delete_below(&self, folder: Path, chosen: impl Fn(&Path) -> bool + Send + 'static) -> Result<(), Error> {
        let found = self.store.list(Some(&folder)).map_ok(|object| object.location);
        let mut deleted = self.store.delete_stream(found.try_filter(move |object| ready(chosen(object))).boxed());
        while let Some(outcome) = deleted.next().await {
            match outcome {
                // Somebody else was faster.
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Asks for an object that is not there, to see whether the storage answers.
    pub async fn ping(&self) -> Result<(), Error> {
        match acting::for_deployment(self.store.head(&Path::from("t/ping"))).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn document_folder(tenant: &TenantId, document: DocumentId) -> Path {
    Path::from(format!("t/{tenant}/{document}"))
}

/// The version that an object is of.
fn version_of(object: &Path) -> Option<u32> {
    object.parts().nth(3)?.as_ref().parse().ok()
}

pub(super) fn open(
    config: &BlobsConfig,
    aws: &SdkConfig,
    sessions: Option<&TenantSessions>,
) -> Result<Blobs, ClientError> {
    match &config.location {
        BlobsLocation::Folder(folder) => {
            std::fs::create_dir_all(folder)
                .map_err(|error| ClientError::Build(format!("BLOBS_URL: {}: {error}", folder.display())))?;
            let store = LocalFileSystem::new_with_prefix(folder)
                .map_err(|error| ClientError::Build(format!("BLOBS_URL: {error}")))?;
            let announcements = Announcements::open(folder).map_err(|error| ClientError::Build(error.to_string()))?;
            let store = Arc::new(store.with_automatic_cleanup(true));
            Ok(Blobs { store: Arc::new(MeasuredStore(store)), bucket: None, announcements: Some(announcements) })
        }
        BlobsLocation::Bucket(bucket) => {
            let options = ClientOptions::new().with_pool_idle_timeout(AWS_IDLE_LIMIT);
            let mut builder = AmazonS3Builder::new()
                .with_bucket_name(bucket)
                .with_client_options(options)
                .with_http_connector(LazyHttp);
            let mut credentials = aws.credentials_provider();
            if let Some(endpoint) = &config.endpoint {
                credentials = Some(emulated_credentials());
                builder = builder.with_endpoint(endpoint.as_str()).with_allow_http(true);
            }
            if let Some(sessions) = sessions {
                credentials = Some(sessions.credentials_beside(credentials));
            }
            if let Some(region) = aws.region() {
                builder = builder.with_region(region.as_ref());
            }
            if let Some(credentials) = credentials.clone() {
                builder = builder.with_credentials(Arc::new(SdkCredentials(credentials)));
            }
            let store = builder.build().map_err(|error| ClientError::Build(format!("BLOBS_URL: {error}")))?;
            let store = Arc::new(store);
            let bucket = Bucket {
                store: Arc::clone(&store),
                region: aws.region().map(ToString::to_string).unwrap_or_default(),
                credentials,
            };
            Ok(Blobs { store: Arc::new(MeasuredStore(store)), bucket: Some(bucket), announcements: None })
        }
    }
}

/// The AWS SDK's credentials for `object_store`, which has a credential chain of its own: one chain, one refresh.
#[derive(Debug)]
struct SdkCredentials(SharedCredentialsProvider);

#[async_trait]
impl CredentialProvider for SdkCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let credentials = self
            .0
            .provide_credentials()
            .await
            .map_err(|source| object_store::Error::Generic { store: "S3", source: Box::new(source) })?;
        Ok(Arc::new(AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_begins_with_the_tenant_and_is_read_back() {
        let path = "t/acme/01J9ZQ3W6V8Y0ABCDEFGHJKMNP/3/original";
        let key: BlobKey = path.parse().unwrap();
        assert_eq!(key.tenant.as_str(), "acme");
        assert_eq!(key.version, 3);
        assert_eq!(key.to_string(), path);
    }

    #[test]
    fn other_paths_are_not_keys() {
        let document = "01J9ZQ3W6V8Y0ABCDEFGHJKMNP";
        for wrong in [
            String::new(),
            format!("t/acme/{document}/3"),
            format!("t/acme/{document}/3/original/x"),
            format!("x/acme/{document}/3/original"),
            format!("t/../{document}/3/original"),
            format!("t/acme/{document}/three/original"),
            "t/acme/..%2f/3/original".to_owned(),
        ] {
            assert!(wrong.parse::<BlobKey>().is_err(), "{wrong}");
        }
    }
}
