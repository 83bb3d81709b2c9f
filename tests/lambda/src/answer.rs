use aws_lambda_events::apigw::ApiGatewayProxyResponse;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use lambda_http::lambda_runtime::MetadataPrelude;
use tokio::sync::mpsc;

/// What a function said of an event.
#[derive(Debug)]
pub enum Answer {
    /// Said at once.
    Buffered(Bytes),
    /// Said as it is made.
    Streamed(Streamed),
}

/// An answer in the streaming format: its head is known, and its body comes.
#[derive(Debug)]
pub struct Streamed {
    /// Status and headers.
    pub head: MetadataPrelude,
    /// The body, piece by piece.
    pub body: mpsc::Receiver<Result<Bytes, Torn>>,
}

/// The function did not come to the end of what it was saying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the function did not finish its answer")]
pub struct Torn;

/// An answer to a request that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, in base64 if so it was said.
    pub body: Bytes,
    /// Whether so it was.
    pub is_base64: bool,
}

impl Answer {
    /// The whole answer. What is no answer to a request, as the authorizer's, is taken for a body.
    pub async fn read(self) -> Result<Whole, Torn> {
        match self {
            Self::Buffered(said) => Ok(Whole::proxied(&said).unwrap_or(Whole {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                body: said,
                is_base64: false,
            })),
            Self::Streamed(Streamed { head, mut body }) => {
                let mut whole = BytesMut::new();
                while let Some(piece) = body.recv().await {
                    whole.extend_from_slice(&piece?);
                }
                let MetadataPrelude { status_code: status, headers, .. } = head;
                Ok(Whole { status, headers, body: whole.freeze(), is_base64: false })
            }
        }
    }
}

impl Whole {
    /// What a proxy integration is answered, if it is that.
    pub(crate) fn proxied(said: &[u8]) -> Option<Self> {
        let said: ApiGatewayProxyResponse = serde_json::from_slice(said).ok()?;
        let mut headers = said.headers;
        for name in said.multi_value_headers.keys() {
            headers.remove(name);
        }
        headers.extend(said.multi_value_headers);
        Some(Self {
            status: StatusCode::from_u16(u16::try_from(said.status_code).ok()?).ok()?,
            headers,
            body: said.body.map(|body| body.to_vec().into()).unwrap_or_default(),
            is_base64: said.is_base64_encoded,
        })
    }
}
