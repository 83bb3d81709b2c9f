use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use lambda_http::RequestExt;

use super::boundary::{RequestId, boundary};

/// Serves a router as a Lambda function until the environment ends.
pub async fn run(router: Router) -> Result<(), lambda_http::Error> {
    lambda_http::run(on_lambda(router)).await
}

/// Like [`run`], with answers streamed as they are made. Every route of the function streams then, so each needs an
/// integration that reads the streaming format.
pub async fn run_streaming(router: Router) -> Result<(), lambda_http::Error> {
    lambda_http::run_with_streaming_response(on_lambda(router)).await
}

fn on_lambda(router: Router) -> Router {
    boundary(router).layer(middleware::from_fn(use_lambda_request_id))
}

/// Lambda's own request id, so that our log lines stand beside the platform's.
async fn use_lambda_request_id(mut request: Request, next: Next) -> Response {
    if let Some(context) = request.lambda_context_ref() {
        let id = RequestId(context.request_id.clone());
        request.extensions_mut().insert(id);
    }
    next.run(request).await
}
