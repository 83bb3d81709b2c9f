use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use reqwest::redirect::Policy;
use reqwest::{Body, Certificate, Client, Request};
use tokio::time::timeout;

use super::ClientError;
use crate::config::Variables;

/// A connection to AWS that rested for longer is not used again. While a Lambda environment is frozen, its connections may be
/// dropped without a word. What is sent on such a one is missed only when the time for the attempt is over, and a write cannot be
/// sent again as if it had never been. A new connection takes some milliseconds, with the session of TLS that is known.
pub(super) const AWS_IDLE_LIMIT: Duration = Duration::from_secs(1);
/// Those that certify AWS. To read the hundreds of a system would take longer than all else of a start.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// The HTTP client that all clients of AWS share: the one that everything else speaks through, of which a function then holds no
/// second one.
#[derive(Debug, Clone)]
pub(super) struct AwsHttp {
    trusted: Arc<[Certificate]>,
    /// By the longest that connecting may take, in which the clients of AWS differ. Made when they are first used.
    clients: Arc<Mutex<HashMap<Option<Duration>, Client>>>,
}

/// What one client of AWS speaks through.
#[derive(Debug)]
struct Connector {
    http: AwsHttp,
    settings: HttpConnectorSettings,
}

impl AwsHttp {
    /// One that trusts the certificates in the file that `AWS_CA_BUNDLE` names, or otherwise Amazon's.
    pub(super) fn new(variables: &Variables) -> Result<Self, ClientError> {
        let file = variables.optional_text("AWS_CA_BUNDLE");
        let trusted = match file {
            Some(file) => {
                certificates(file).map_err(|reason| ClientError::Build(format!("AWS_CA_BUNDLE: {reason}")))?
            }
            None => {
                Certificate::from_pem_bundle(AMAZON_ROOTS).map_err(|error| ClientError::Build(error.to_string()))?
            }
        };
        Ok(Self { trusted: trusted.into(), clients: Arc::default() })
    }

    fn client(&self, connect_limit: Option<Duration>) -> reqwest::Result<Client> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&connect_limit) {
            return Ok(client.clone());
        }
        let mut builder = Client::builder()
            .tls_certs_only(self.trusted.iter().cloned())
            .pool_idle_timeout(AWS_IDLE_LIMIT)
            .no_proxy()
            // The clients of AWS know when to ask elsewhere, and when again.
            .redirect(Policy::none())
            .retry(reqwest::retry::never());
        if let Some(limit) = connect_limit {
            builder = builder.connect_timeout(limit);
        }
        let client = builder.build()?;
        clients.insert(connect_limit, client.clone());
        Ok(client)
    }
}

/// What stands in a file, if it is certificates: without any, nobody could be trusted.
fn certificates(file: &str) -> Result<Vec<Certificate>, String> {
    let text = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    match Certificate::from_pem_bundle(&text) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(format!("{file} holds no certificates in PEM")),
    }
}

impl HttpClient for AwsHttp {
    fn http_connector(&self, settings: &HttpConnectorSettings, _components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector { http: self.clone(), settings: settings.clone() })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.http.client(self.settings.connect_timeout());
        let read_limit = self.settings.read_timeout();
        HttpConnectorFuture::new(async move {
            let client = client.map_err(|error| ConnectorError::user(error.into()))?;
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let request = Request::try_from(request.map(Body::wrap)).map_err(failure)?;
            let answered = client.execute(request);
            let response = match read_limit {
                Some(limit) => timeout(limit, answered).await.map_err(|error| ConnectorError::timeout(error.into()))?,
                None => answered.await,
            };
            let response = http::Response::from(response.map_err(failure)?).map(SdkBody::from_body_1_x);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// What the clients of AWS make of a failure: all but what is wrong with the request itself may pass.
fn failure(error: reqwest::Error) -> ConnectorError {
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_builder() {
        ConnectorError::user(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_ends_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let trusting = |name: &str, text: Option<&[u8]>| {
            let file = folder.path().join(name);
            if let Some(text) = text {
                std::fs::write(&file, text).unwrap();
            }
            let error = AwsHttp::new(&Variables::from_pairs([("AWS_CA_BUNDLE", file.to_str().unwrap())])).err();
            error.map(|error| error.to_string())
        };
        assert_eq!(trusting("amazon.pem", Some(AMAZON_ROOTS)), None);
        let broken = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        for (name, text) in [("absent.pem", None), ("empty.pem", Some(&b"nothing"[..])), ("broken.pem", Some(broken))] {
            let error = trusting(name, text).unwrap();
            assert!(error.contains("AWS_CA_BUNDLE") && error.contains(name), "{error}");
        }
        assert!(AwsHttp::new(&Variables::default()).is_ok());
    }
}
