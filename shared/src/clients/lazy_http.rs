use std::sync::OnceLock;

use async_trait::async_trait;
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};

/// Makes an HTTP client of an object storage when it is first used: that reads the system's certificates, and few requests need
/// the storage.
#[derive(Debug)]
pub(super) struct LazyHttp;

#[derive(Debug)]
struct Lazy {
    options: ClientOptions,
    made: OnceLock<HttpClient>,
}

impl HttpConnector for LazyHttp {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Lazy { options: options.clone(), made: OnceLock::new() }))
    }
}

#[async_trait]
impl HttpService for Lazy {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let client = if let Some(client) = self.made.get() {
            client
        } else {
            let made = ReqwestConnector::default().connect(&self.options);
            let made = made.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
            self.made.get_or_init(|| made)
        };
        client.execute(request).await
    }
}
