use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use object_store::aws::AmazonS3;
use object_store::signer::{Method, SignedUrlOptions, Signer as _};
use serde::Deserialize;
use time::OffsetDateTime;
use url::Url;

use super::blobs::{BlobKey, Blobs};
use crate::config::BlobsConfig;
use crate::documents::filename;
use crate::error::Error;
use crate::signing::{Mac, Purpose, Signer};

/// The type of what has none that can stand in a header.
const ANY_TYPE: &str = "application/octet-stream";

/// Addresses at which an original can be fetched for a short while without a token, as a browser does that follows a
/// link. A bucket signs them itself. For a folder they are signed here, and who serves the folder asks [`Self::admit`].
#[derive(Debug, Clone)]
pub struct ContentUrls {
    place: Place,
    life: Duration,
}

#[derive(Debug, Clone)]
enum Place {
    Bucket(Arc<AmazonS3>),
    Folder { base: Option<Url>, mac: Mac },
}

/// What a signed address of a folder says beside the original. None of it is believed before the signature is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedQuery {
    expires: String,
    content_type: String,
    disposition: String,
    signature: String,
}

/// How an original is to be handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The value of `Content-Type`.
    pub content_type: String,
    /// The value of `Content-Disposition`: always an attachment.
    pub disposition: String,
}

impl ContentUrls {
    pub(super) fn new(blobs: &Blobs, config: &BlobsConfig, signer: &Signer) -> Self {
        let place = match &blobs.bucket {
            Some(bucket) => Place::Bucket(Arc::clone(&bucket.store)),
            None => Place::Folder { base: config.public_url.clone(), mac: signer.mac(Purpose::ContentUrl) },
        };
        Self { place, life: config.url_life }
    }

    /// An address of the original, good from now on. The browser is told to store it under this name, and of this type.
    pub async fn url(&self, key: &BlobKey, name: &str, content_type: &str, now: OffsetDateTime) -> Result<Url, Error> {
        let content_type = if HeaderValue::from_str(content_type).is_ok() { content_type } else { ANY_TYPE };
        let delivery = Delivery { content_type: content_type.to_owned(), disposition: filename::attachment(name) };
        match &self.place {
            Place::Bucket(bucket) => {
                // In the address and not with the object, so that it is the name that the document has now.
                let options = SignedUrlOptions::new().with_query([
                    ("response-content-type", delivery.content_type),
                    ("response-content-disposition", delivery.disposition),
                ]);
                Ok(bucket.signed_url_opts(Method::GET, &key.path(), self.life, &options).await?)
            }
            Place::Folder { base, mac } => {
                let base = base.as_ref().ok_or_else(|| Error::internal("BLOBS_PUBLIC_URL is not set"))?;
                let expires = (now + self.life).unix_timestamp().to_string();
                let signature = mac.sign(&signed(key, &expires, &delivery).each_ref().map(String::as_bytes));
                let mut url = place_below(base, key)?;
                url.query_pairs_mut()
                    .append_pair("expires", &expires)
                    .append_pair("content_type", &delivery.content_type)
                    .append_pair("disposition", &delivery.disposition)
                    .append_pair("signature", &URL_SAFE_NO_PAD.encode(signature));
                Ok(url)
            }
        }
    }

    /// How to hand over an original of a folder; [`Error::BadSignature`] unless its address was made here, for this
    /// original, and not too long ago.
    pub fn admit(&self, key: &BlobKey, query: SignedQuery, now: OffsetDateTime) -> Result<Delivery, Error> {
        // The addresses of a bucket lead to the bucket.
        let Place::Folder { mac, .. } = &self.place else { return Err(Error::BadSignature) };
        let signature = URL_SAFE_NO_PAD.decode(&query.signature).map_err(|_| Error::BadSignature)?;
        let delivery = Delivery { content_type: query.content_type, disposition: query.disposition };
        let parts = signed(key, &query.expires, &delivery);
        if !mac.verify(&parts.each_ref().map(String::as_bytes), &signature) {
            return Err(Error::BadSignature);
        }
        let expires: i64 = query.expires.parse().map_err(Error::internal)?;
        if expires <= now.unix_timestamp() { Err(Error::BadSignature) } else { Ok(delivery) }
    }
}

/// Where an original of a folder is, below the address that the folder is served at.
pub(super) fn place_below(base: &Url, key: &BlobKey) -> Result<Url, Error> {
    let mut url = base.clone();
    url.path_segments_mut().map_err(|()| Error::internal("BLOBS_PUBLIC_URL has no path"))?.pop_if_empty().extend([
        key.tenant.as_str(),
        &key.document.to_string(),
        &key.version.to_string(),
    ]);
    Ok(url)
}

/// What the signature of an address in a folder is of.
fn signed(key: &BlobKey, expires: &str, delivery: &Delivery) -> [String; 5] {
    [
        Method::GET.to_string(),
        key.to_string(),
        expires.to_owned(),
        delivery.content_type.clone(),
        delivery.disposition.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use object_store::aws::AmazonS3Builder;

    use super::*;
    use crate::config::{SigningConfig, Variables};
    use crate::tenancy::DocumentId;

    const LIFE: Duration = Duration::from_mins(5);

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap()
    }

    fn key() -> BlobKey {
        BlobKey { tenant: "acme".parse().unwrap(), document: "01J9ZQ3W6V8Y0ABCDEFGHJKMNP".parse().unwrap(), version: 3 }
    }

    fn folder(secret: &str) -> ContentUrls {
        let config = SigningConfig::from_variables(&Variables::from_pairs([("SIGNING_SECRET", secret)])).unwrap();
        let base = Some("http://127.0.0.1:8080/objects".parse().unwrap());
        let mac = Signer::new(&config).mac(Purpose::ContentUrl);
        ContentUrls { place: Place::Folder { base, mac }, life: LIFE }
    }

    fn pairs(url: &Url) -> BTreeMap<String, String> {
        url.query_pairs().into_owned().collect()
    }

    fn query(pairs: &BTreeMap<String, String>) -> SignedQuery {
        serde_json::from_value(serde_json::to_value(pairs).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn an_address_of_a_folder_holds_as_it_was_made_and_for_its_time() {
        let urls = folder("a secret of more than thirty-two bytes");
        let url = urls.url(&key(), "Übersicht.pdf", "application/pdf", now()).await.unwrap();
        assert_eq!(url.path(), "/objects/acme/01J9ZQ3W6V8Y0ABCDEFGHJKMNP/3");
        let pairs = pairs(&url);
        let delivery = urls.admit(&key(), query(&pairs), now() + LIFE - Duration::from_secs(1)).unwrap();
        assert_eq!(delivery.content_type, "application/pdf");
        assert_eq!(delivery.disposition, "attachment; filename*=UTF-8''%C3%9Cbersicht.pdf");
        assert!(urls.admit(&key(), query(&pairs), now() + LIFE).is_err(), "too old");

        for (name, value) in &pairs {
            for altered in [format!("{value}1"), value.replacen(['1', 'a', 'A', '-'], "0", 1), String::new()] {
                let altered: BTreeMap<_, _> = pairs.clone().into_iter().chain([(name.clone(), altered)]).collect();
                if altered != pairs {
                    assert!(urls.admit(&key(), query(&altered), now()).is_err(), "{altered:?}");
                }
            }
        }
        for other in [
            BlobKey { tenant: "other".parse().unwrap(), ..key() },
            BlobKey { document: DocumentId::new(), ..key() },
            BlobKey { version: 2, ..key() },
        ] {
            assert!(urls.admit(&other, query(&pairs), now()).is_err(), "{other:?}");
        }
        assert!(folder("another secret of more than thirty-two bytes").admit(&key(), query(&pairs), now()).is_err());
    }

    #[tokio::test]
    async fn an_address_of_a_bucket_is_signed_for_s3_and_names_the_file() {
        let bucket = AmazonS3Builder::new()
            .with_bucket_name("ragline-1")
            .with_region("eu-central-1")
            .with_access_key_id("AKIDEXAMPLE")
            .with_secret_access_key("secret")
            .build()
            .unwrap();
        let urls = ContentUrls { place: Place::Bucket(Arc::new(bucket)), life: LIFE };
        let url = urls.url(&key(), "a b.html", "text/html\r\nset-cookie: x", now()).await.unwrap();
        assert_eq!(url.scheme(), "https");
        assert!(url.path().ends_with("/t/acme/01J9ZQ3W6V8Y0ABCDEFGHJKMNP/3/original"), "{url}");
        let pairs = pairs(&url);
        assert_eq!(pairs["X-Amz-Expires"], "300");
        assert_eq!(pairs["response-content-type"], "application/octet-stream");
        assert_eq!(pairs["response-content-disposition"], "attachment; filename*=UTF-8''a%20b.html");
        assert!(!pairs["X-Amz-Signature"].is_empty());
        let of_a_folder = folder("a secret of more than thirty-two bytes");
        let url = of_a_folder.url(&key(), "a", "text/plain", now()).await.unwrap();
        assert!(urls.admit(&key(), query(&self::pairs(&url)), now()).is_err(), "S3 answers for a bucket");
    }
}
