use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use futures::{Stream, stream};
use redis::{BasicAuth, ErrorKind, RedisError, StreamingCredentialsProvider};

use super::super::ClientError;
use crate::config::RedisConfig;

/// How long a token lets in; a connection that stands lives on. ElastiCache takes no longer one.
const TOKEN_LIFE: Duration = Duration::from_mins(15);
/// ElastiCache ends a connection 12 hours after its last authentication.
const RENEW_AFTER: Duration = Duration::from_hours(11);
/// The wait after a token could not be made for a connection that stands.
const RETRY_AFTER: Duration = Duration::from_mins(1);

/// Passwords for ElastiCache made from the credentials of this process, a new one for each connection and again before
/// a connection would be ended ("Authenticating with IAM" in the ElastiCache user guide).
#[derive(Clone)]
pub(super) struct IamTokens(Arc<Signer>);

struct Signer {
    credentials: SharedCredentialsProvider,
    region: String,
    cache: String,
    user: String,
}

impl IamTokens {
    /// Tokens for the configured user; `None` if there is none.
    pub(super) fn new(aws: &SdkConfig, config: &RedisConfig) -> Result<Option<Self>, ClientError> {
        let Some(user) = &config.iam_user else { return Ok(None) };
        let missing = |what: &str| ClientError::Build(format!("REDIS_IAM_USER needs {what}"));
        let signer = Signer {
            credentials: aws.credentials_provider().ok_or_else(|| missing("AWS credentials"))?,
            region: aws.region().ok_or_else(|| missing("a region"))?.to_string(),
            cache: config.elasticache_name.clone().ok_or_else(|| missing("ELASTICACHE_NAME"))?,
            user: user.clone(),
        };
        Ok(Some(Self(Arc::new(signer))))
    }
}

impl StreamingCredentialsProvider for IamTokens {
    fn subscribe(&self) -> Pin<Box<dyn Stream<Item = Result<BasicAuth, RedisError>> + Send + 'static>> {
        let signer = Arc::clone(&self.0);
        Box::pin(stream::unfold((signer, Duration::ZERO), |(signer, wait)| async move {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            let token = signer.token().await;
            let wait = if token.is_ok() { RENEW_AFTER } else { RETRY_AFTER };
            let login = token.map(|token| BasicAuth::new(signer.user.clone(), token));
            Some((login, (signer, wait)))
        }))
    }
}

impl Signer {
    async fn token(&self) -> Result<String, RedisError> {
        let failed = |error: String| RedisError::from((ErrorKind::AuthenticationFailed, "no IAM token", error));
        let credentials = self.credentials.provide_credentials().await.map_err(|error| failed(error.to_string()))?;
        self.sign(credentials, SystemTime::now()).map_err(failed)
    }

    /// A presigned request to connect, without its scheme.
    fn sign(&self, credentials: Credentials, now: SystemTime) -> Result<String, String> {
        let mut settings = SigningSettings::default();
        settings.expires_in = Some(TOKEN_LIFE);
        settings.signature_location = SignatureLocation::QueryParams;
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("elasticache")
            .time(now)
            .settings(settings)
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let url = format!("http://{}/?Action=connect&User={}&ResourceType=ServerlessCache", self.cache, self.user);
        let request = SignableRequest::new("GET", url.as_str(), std::iter::empty(), SignableBody::Bytes(&[]))
            .map_err(|error| error.to_string())?;
        let (instructions, _signature) = sign(request, &parameters).map_err(|error| error.to_string())?.into_parts();
        let mut request = http::Request::get(&url).body(()).map_err(|error| error.to_string())?;
        instructions.apply_to_request_http1x(&mut request);
        let signed = request.uri().to_string();
        Ok(signed.strip_prefix("http://").unwrap_or(&signed).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn signer() -> Signer {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("session".to_owned()), None, "test");
        Signer {
            credentials: SharedCredentialsProvider::new(credentials),
            region: "eu-central-1".to_owned(),
            cache: "ragline".to_owned(),
            user: "ragline-app".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_token_is_a_presigned_request_to_connect() {
        let signer = signer();
        let credentials = signer.credentials.provide_credentials().await.unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        let token = signer.sign(credentials, time).unwrap();
        let (host, query) = token.split_once("/?").unwrap();
        assert_eq!(host, "ragline");
        let parameters: BTreeMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let parameter = |name: &str| parameters.get(name).map(String::as_str).unwrap_or_default();
        assert_eq!(parameter("Action"), "connect");
        assert_eq!(parameter("User"), "ragline-app");
        assert_eq!(parameter("ResourceType"), "ServerlessCache");
        assert_eq!(parameter("X-Amz-Expires"), "900");
        assert_eq!(parameter("X-Amz-Date"), "20261118T110640Z");
        assert_eq!(parameter("X-Amz-SignedHeaders"), "host");
        assert_eq!(parameter("X-Amz-Security-Token"), "session");
        assert_eq!(parameter("X-Amz-Credential"), "AKIDEXAMPLE/20261118/eu-central-1/elasticache/aws4_request");
        assert_eq!(parameter("X-Amz-Signature").len(), 64);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_gets_a_token_at_once_and_another_before_twelve_hours() {
        use futures::StreamExt;
        let tokens = IamTokens(Arc::new(signer()));
        let mut stream = tokens.subscribe();
        let started = tokio::time::Instant::now();
        let first = stream.next().await.unwrap().unwrap();
        assert_eq!(first.username(), "ragline-app");
        assert_eq!(started.elapsed(), Duration::ZERO);
        stream.next().await.unwrap().unwrap();
        assert!((Duration::from_hours(10)..Duration::from_hours(12)).contains(&started.elapsed()));
    }
}
