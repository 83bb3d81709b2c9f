use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::config::{Credentials, ProvideCredentials};
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use object_store::signer::Signer as _;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::Url;
use utoipa::ToSchema;

use super::blobs::{BlobKey, Blobs, Bucket};
use super::content_urls::place_below;
use crate::config::BlobsConfig;
use crate::error::Error;
use crate::signing::{Mac, Purpose, Signer};

/// The header in which S3 takes the SHA-256 of what is uploaded, in base 64.
const CHECKSUM: &str = "x-amz-checksum-sha256";

/// Addresses at which the bytes of a document can be put for a while without a token: exactly as many as were announced, and
/// those with the announced checksum if there is one. A bucket sees to that itself, since both are headers that are signed. For
/// a folder the addresses are signed here, and who serves the folder asks [`Self::admit`].
#[derive(Debug, Clone)]
pub struct UploadUrls {
    place: Place,
    life: Duration,
}

#[derive(Debug, Clone)]
enum Place {
    Bucket(Bucket),
    Folder { base: Option<Url>, mac: Mac },
}

/// How to upload the bytes of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = UploadRequest)]
pub struct UploadRequest {
    /// The method of the request.
    #[schema(value_type = String, example = "PUT")]
    pub method: &'static str,
    /// Its address.
    #[schema(format = "uri")]
    pub url: String,
    /// The headers that it must have.
    pub headers: BTreeMap<String, String>,
    /// When the address ends.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

/// What a signed address of a folder says beside the original. None of it is believed before the signature is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedUpload {
    expires: String,
    size: String,
    #[serde(default)]
    sha256: String,
    signature: String,
}

/// The bytes that an address is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// How many.
    pub size_bytes: u64,
    /// Their SHA-256 in hexadecimal, if it was said.
    pub sha256: Option<String>,
}

impl UploadUrls {
    pub(super) fn new(blobs: &Blobs, config: &BlobsConfig, signer: &Signer) -> Self {
        let place = match &blobs.bucket {
            Some(bucket) => Place::Bucket(bucket.clone()),
            None => Place::Folder { base: config.public_url.clone(), mac: signer.mac(Purpose::UploadUrl) },
        };
        Self { place, life: config.upload_url_life }
    }

    /// How long an address is good.
    pub fn life(&self) -> Duration {
        self.life
    }

    /// A request that puts the announced bytes, good from now on.
    pub async fn request(
        &self,
        key: &BlobKey,
        announced: &Announced,
        now: OffsetDateTime,
    ) -> Result<UploadRequest, Error> {
        // Nobody puts other bytes over those that a worker has seen.
        let once = ("if-none-match".to_owned(), "*".to_owned());
        let mut headers = BTreeMap::from([("content-length".to_owned(), announced.size_bytes.to_string()), once]);
        if let Some(sha256) = &announced.sha256 {
            let digest = hex::decode(sha256).map_err(Error::internal)?;
            headers.insert(CHECKSUM.to_owned(), STANDARD.encode(digest));
        }
        let (url, expires_at) = match &self.place {
            Place::Bucket(bucket) => self.presigned(bucket, key, &headers, now).await?,
            Place::Folder { base, mac } => {
                let base = base.as_ref().ok_or_else(|| Error::internal("BLOBS_PUBLIC_URL is not set"))?;
                let expires_at = now + self.life;
                let expires = expires_at.unix_timestamp().to_string();
                let (size, sha256) = (announced.size_bytes.to_string(), announced.sha256.clone().unwrap_or_default());
                let signature = mac.sign(&signed(key, &expires, &size, &sha256).each_ref().map(String::as_bytes));
                let mut url = place_below(base, key)?;
                url.query_pairs_mut()
                    .append_pair("expires", &expires)
                    .append_pair("size", &size)
                    .append_pair("sha256", &sha256)
                    .append_pair("signature", &URL_SAFE_NO_PAD.encode(signature));
                (url, expires_at)
            }
        };
        Ok(UploadRequest { method: "PUT", url: url.into(), headers, expires_at })
    }

    /// The bytes that may be put at an address of a folder; [`Error::BadSignature`] unless the address was made here, for this
    /// original, and not too long ago.
    pub fn admit(&self, key: &BlobKey, query: &SignedUpload, now: OffsetDateTime) -> Result<Announced, Error> {
        // The addresses of a bucket lead to the bucket.
        let Place::Folder { mac, .. } = &self.place else { return Err(Error::BadSignature) };
        let signature = URL_SAFE_NO_PAD.decode(&query.signature).map_err(|_| Error::BadSignature)?;
        let parts = signed(key, &query.expires, &query.size, &query.sha256);
        if !mac.verify(&parts.each_ref().map(String::as_bytes), &signature) {
            return Err(Error::BadSignature);
        }
        let expires: i64 = query.expires.parse().map_err(Error::internal)?;
        if expires <= now.unix_timestamp() {
            return Err(Error::BadSignature);
        }
        let size_bytes = query.size.parse().map_err(Error::internal)?;
        Ok(Announced { size_bytes, sha256: Some(query.sha256.clone()).filter(|sha256| !sha256.is_empty()) })
    }

    /// An address of a bucket, and when it ends: with the credentials that signed it, if those end before its time.
    /// `object_store` signs no `content-length`, which alone keeps an upload from being larger than announced.
    async fn presigned(
        &self,
        bucket: &Bucket,
        key: &BlobKey,
        headers: &BTreeMap<String, String>,
        now: OffsetDateTime,
    ) -> Result<(Url, OffsetDateTime), Error> {
        let credentials = bucket.credentials.as_ref().ok_or_else(|| Error::internal("there are no AWS credentials"))?;
        let credentials =
            credentials.provide_credentials().await.map_err(|error| Error::unavailable(error.to_string()))?;
        // Where the object is, which the store knows best.
        let mut place = bucket.store.signed_url(Method::PUT, &key.path(), self.life).await?;
        place.set_query(None);
        let end = credentials.expiry().map_or(now + self.life, |end| (now + self.life).min(end.into()));
        let life = (end - now).try_into().map_err(Error::internal)?;
        let url = presign(&place, headers, credentials, &bucket.region, life, now.into()).map_err(Error::internal)?;
        Ok((url, end))
    }
}

/// An address for a PUT with exactly these headers (AWS Signature Version 4, query string).
fn presign(
    place: &Url,
    headers: &BTreeMap<String, String>,
    credentials: Credentials,
    region: &str,
    life: Duration,
    now: SystemTime,
) -> Result<Url, String> {
    let mut settings = SigningSettings::default();
    settings.expires_in = Some(life);
    settings.signature_location = SignatureLocation::QueryParams;
    // As S3 has it: paths are taken as they are.
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let request = SignableRequest::new("PUT", place.as_str(), headers, SignableBody::UnsignedPayload)
        .map_err(|error| error.to_string())?;
    let (instructions, _signature) = sign(request, &parameters).map_err(|error| error.to_string())?.into_parts();
    let mut request = http::Request::put(place.as_str()).body(()).map_err(|error| error.to_string())?;
    instructions.apply_to_request_http1x(&mut request);
    Url::parse(&request.uri().to_string()).map_err(|error| error.to_string())
}

/// What the signature of an address in a folder is of.
fn signed(key: &BlobKey, expires: &str, size: &str, sha256: &str) -> [String; 5] {
    [Method::PUT.to_string(), key.to_string(), expires.to_owned(), size.to_owned(), sha256.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SigningConfig, Variables};
    use crate::tenancy::DocumentId;

    const LIFE: Duration = Duration::from_mins(15);

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap()
    }

    fn key() -> BlobKey {
        BlobKey { tenant: "acme".parse().unwrap(), document: "01J9ZQ3W6V8Y0ABCDEFGHJKMNP".parse().unwrap(), version: 3 }
    }

    fn announced() -> Announced {
        Announced { size_bytes: 5, sha256: Some("ab".repeat(32)) }
    }

    fn folder() -> UploadUrls {
        let secret = [("SIGNING_SECRET", "a secret of more than thirty-two bytes")];
        let config = SigningConfig::from_variables(&Variables::from_pairs(secret)).unwrap();
        let base = Some("http://127.0.0.1:8080/objects".parse().unwrap());
        UploadUrls { place: Place::Folder { base, mac: Signer::new(&config).mac(Purpose::UploadUrl) }, life: LIFE }
    }

    fn query(pairs: &BTreeMap<String, String>) -> SignedUpload {
        serde_json::from_value(serde_json::to_value(pairs).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn an_address_of_a_folder_holds_as_it_was_made_and_for_its_time() {
        let urls = folder();
        let request = urls.request(&key(), &announced(), now()).await.unwrap();
        assert_eq!(request.headers["content-length"], "5");
        assert_eq!(request.headers[CHECKSUM], STANDARD.encode([0xab; 32]));
        let url: Url = request.url.parse().unwrap();
        let pairs: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let just_before = now() + LIFE - Duration::from_secs(1);
        assert_eq!(urls.admit(&key(), &query(&pairs), just_before).unwrap(), announced());
        assert!(urls.admit(&key(), &query(&pairs), now() + LIFE).is_err(), "too old");
        for (name, value) in &pairs {
            for altered in [format!("{value}1"), value.replacen(['1', 'a', 'A', '5'], "0", 1), String::new()] {
                let altered: BTreeMap<_, _> = pairs.clone().into_iter().chain([(name.clone(), altered)]).collect();
                if altered != pairs {
                    assert!(urls.admit(&key(), &query(&altered), now()).is_err(), "{altered:?}");
                }
            }
        }
        for other in [
            BlobKey { tenant: "other".parse().unwrap(), ..key() },
            BlobKey { document: DocumentId::new(), ..key() },
            BlobKey { version: 2, ..key() },
        ] {
            assert!(urls.admit(&other, &query(&pairs), now()).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_presigned_address_binds_size_and_checksum() {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("session".to_owned()), None, "test");
        let place: Url = "https://s3.eu-central-1.amazonaws.com/bucket/t/acme/D/1/original".parse().unwrap();
        let headers = BTreeMap::from([
            ("content-length".to_owned(), "5".to_owned()),
            (CHECKSUM.to_owned(), STANDARD.encode([0xab; 32])),
        ]);
        let sign = |headers: &BTreeMap<String, String>| {
            presign(&place, headers, credentials.clone(), "eu-central-1", LIFE, now().into()).unwrap()
        };
        let url = sign(&headers);
        let pairs: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(url.path(), place.path());
        assert_eq!(pairs["X-Amz-SignedHeaders"], "content-length;host;x-amz-checksum-sha256");
        assert_eq!(pairs["X-Amz-Expires"], "900");
        assert_eq!(pairs["X-Amz-Security-Token"], "session");
        let mut larger = headers.clone();
        larger.insert("content-length".to_owned(), "6".to_owned());
        assert_ne!(sign(&larger), url, "another size, another signature");
    }
}
