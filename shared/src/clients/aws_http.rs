use std::time::Duration;

use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use reqwest::Certificate;

use super::ClientError;
use crate::config::Variables;

/// A connection to AWS that rested for longer is not used again. While a Lambda environment is frozen, its connections may be
/// dropped without a word. What is sent on such a one is missed only when the time for the attempt is over, and a write cannot be
/// sent again as if it had never been. A new connection takes some milliseconds, with the session of TLS that is known.
pub(super) const AWS_IDLE_LIMIT: Duration = Duration::from_secs(1);
/// Those that certify AWS. To read the hundreds of a system would take longer than all else of a start.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// The HTTP client that all clients of AWS share.
#[derive(Debug)]
pub(super) struct AwsHttp(SharedHttpClient);

impl AwsHttp {
    /// One that trusts the certificates in the file that `AWS_CA_BUNDLE` names, or otherwise Amazon's.
    pub(super) fn new(variables: &Variables) -> Result<Self, ClientError> {
        let roots = match variables.optional_text("AWS_CA_BUNDLE") {
            Some(file) => {
                certificates(file).map_err(|reason| ClientError::Build(format!("AWS_CA_BUNDLE: {reason}")))?
            }
            None => AMAZON_ROOTS.to_owned(),
        };
        let roots = TrustStore::empty().with_pem_certificate(roots);
        let trusted = TlsContext::builder().with_trust_store(roots).build();
        let trusted = trusted.map_err(|error| ClientError::Build(format!("the way to AWS: {error}")))?;
        let builder = Builder::new().pool_idle_timeout(AWS_IDLE_LIMIT);
        let builder = builder.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(trusted);
        Ok(Self(builder.build_https()))
    }
}

/// What stands in a file, if it is certificates: without any, nobody could be trusted.
fn certificates(file: &str) -> Result<Vec<u8>, String> {
    let text = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    match Certificate::from_pem_bundle(&text) {
        Ok(certificates) if !certificates.is_empty() => Ok(text),
        _ => Err(format!("{file} holds no certificates in PEM")),
    }
}

impl HttpClient for AwsHttp {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    // Not `validate_base_client_config`, for which each client would make a connector to throw it away.

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
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
