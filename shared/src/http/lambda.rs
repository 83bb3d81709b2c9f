use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use futures::future::BoxFuture;
use lambda_http::lambda_runtime::{LambdaEvent, Runtime};
use lambda_http::request::RequestContext;
use lambda_http::{Adapter, RequestExt, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use tower::util::ThenLayer;
use tracing::Instrument;

use super::boundary::{RequestId, boundary};
use super::client_ip::ClientIp;
use super::cors::cors;
use super::vouched::Vouched;
use crate::config::{AllowedOrigins, ConfigError, Variables};
use crate::metrics;
use crate::telemetry::{self, Telemetry};

/// When the function that answers a request is ended, whatever it does: an extension of the request, if it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(pub OffsetDateTime);

/// Serves a router as a Lambda function until the environment ends.
pub async fn run(router: Router, telemetry: Telemetry) -> Result<(), lambda_http::Error> {
    let handler = cors(on_lambda(router), allowed_origins()?);
    Runtime::new(Adapter::from(handler)).layer(flushing(telemetry)).run().await
}

/// Like [`run`], with answers streamed as they are made. Every route of the function streams then, so each needs an
/// integration that reads the streaming format. Where Lambda says that an environment takes several requests at a time, as
/// on its Managed Instances (`AWS_LAMBDA_MAX_CONCURRENCY`), it does.
pub async fn run_streaming(router: Router, telemetry: Telemetry) -> Result<(), lambda_http::Error> {
    let handler = cors(on_lambda(router), allowed_origins()?);
    lambda_http::streaming_runtime_concurrent(handler).layer(flushing(telemetry)).run_concurrent().await
}

/// Runs a worker as a Lambda function until the environment ends.
pub async fn run_worker<E, A>(
    telemetry: Telemetry,
    work: impl AsyncFn(E) -> Result<A, lambda_http::Error>,
) -> Result<(), lambda_http::Error>
where
    E: DeserializeOwned,
    A: Serialize,
{
    let work = async |event: LambdaEvent<E>| {
        let invocation = telemetry::invocation(&event.context.request_id);
        work(event.payload).instrument(invocation).await
    };
    Runtime::new(service_fn(work)).layer(flushing(telemetry)).run().await
}

/// Writes metrics and sends what telemetry gathered when an answer is out and before Lambda is asked for the next event: until then
/// the environment is not frozen, and nobody waits. An answer that is streamed is out when its stream has ended.
fn flushing(
    telemetry: Telemetry,
) -> ThenLayer<impl FnOnce(Outcome) -> BoxFuture<'static, Outcome> + Clone + Send + 'static> {
    ThenLayer::new(move |outcome| {
        Box::pin(async move {
            metrics::flush();
            telemetry.flush().await;
            outcome
        }) as BoxFuture<'static, Outcome>
    })
}

type Outcome = Result<(), lambda_http::Error>;

fn allowed_origins() -> Result<AllowedOrigins, ConfigError> {
    AllowedOrigins::from_variables(&Variables::from_process())
}

/// A router that takes the requests of events.
pub fn on_lambda(router: Router) -> Router {
    boundary(router).layer(middleware::from_fn(use_event))
}

/// Takes from the event what a socket would tell: Lambda's own request id, so that our log lines stand beside the
/// platform's, and the address that the gateway saw. Also what a socket would not: whom the authorizer has verified. Only
/// the REST API has one, and only what it says of the request counts, never the request itself.
async fn use_event(mut request: Request, next: Next) -> Response {
    if let Some(context) = request.lambda_context_ref() {
        let (id, deadline) = (RequestId(context.request_id.clone()), context.deadline);
        request.extensions_mut().insert(id);
        let deadline = OffsetDateTime::from_unix_timestamp_nanos(i128::from(deadline) * 1_000_000).ok();
        // `cargo lambda watch` says 1970, which means that nobody knows.
        if let Some(deadline) = deadline.filter(|deadline| *deadline > OffsetDateTime::now_utc()) {
            request.extensions_mut().insert(Deadline(deadline));
        }
    }
    let (source, vouched) = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => {
            let vouched = Vouched::from_context(&context.authorizer.fields, OffsetDateTime::now_utc());
            (context.identity.source_ip.as_deref(), vouched)
        }
        Some(RequestContext::ApiGatewayV2(context)) => (context.http.source_ip.as_deref(), None),
        _ => (None, None),
    };
    if let Some(ip) = source.and_then(|source| source.parse().ok()) {
        request.extensions_mut().insert(ClientIp::new(ip));
    }
    if let Some(vouched) = vouched {
        request.extensions_mut().insert(vouched);
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use axum::Extension;
    use axum::body::{Body, to_bytes};
    use tower::ServiceExt;

    use super::*;

    async fn seen(event: &str) -> String {
        // Any path will do: the stage stands in front of it here.
        let router = on_lambda(Router::new().fallback(async |Extension(ClientIp(ip))| ip.to_string()));
        let request = lambda_http::request::from_str(event).unwrap();
        let response = router.oneshot(request.map(|_| Body::empty())).await.unwrap();
        String::from_utf8(to_bytes(response.into_body(), 100).await.unwrap().to_vec()).unwrap()
    }

    async fn deadline_of(milliseconds: u64) -> Option<OffsetDateTime> {
        let seen = async |deadline: Option<Extension<Deadline>>| {
            deadline.map_or_else(String::new, |Extension(Deadline(at))| at.unix_timestamp().to_string())
        };
        let mut context = lambda_http::Context::default();
        context.deadline = milliseconds;
        let request = lambda_http::request::from_str(include_str!("../../../events/users/me.json")).unwrap();
        let request = request.map(|_| Body::empty()).with_lambda_context(context);
        let response = on_lambda(Router::new().fallback(seen)).oneshot(request).await.unwrap();
        let body = to_bytes(response.into_body(), 100).await.unwrap();
        let seconds = str::from_utf8(&body).unwrap().parse().ok()?;
        OffsetDateTime::from_unix_timestamp(seconds).ok()
    }

    #[tokio::test]
    async fn a_deadline_in_the_past_is_none() {
        assert_eq!(deadline_of(600_000).await, None, "as cargo lambda watch says");
        let later = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap() + time::Duration::minutes(5);
        assert_eq!(deadline_of(u64::try_from(later.unix_timestamp()).unwrap() * 1_000).await, Some(later));
    }

    #[tokio::test]
    async fn the_gateway_says_where_a_request_comes_from_and_no_header_does() {
        let event = include_str!("../../../events/users/me.json");
        assert!(event.contains("203.0.113.7"));
        assert_eq!(seen(event).await, "203.0.113.7");
        let forged = event.replacen("203.0.113.7", "198.51.100.66", 2);
        assert!(forged.contains("\"X-Forwarded-For\": \"198.51.100.66\""), "{forged}");
        assert_eq!(seen(&forged).await, "203.0.113.7");
    }
}
