//! API Gateway in small: makes proxy events of requests, has the authorizer say whose they are, and makes answers of what
//! functions say.

mod caller;
mod event;
mod response;
mod routes;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use axum::serve::ListenerExt;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use self::caller::{Callers, Verdict};
use self::event::event;
use self::response::{refusal, response};
use self::routes::Routes;
use crate::function::Function;

/// The stage, as in `events/`.
const STAGE: &str = "v1";
const ACCOUNT: &str = "123456789012";
const API: &str = "abcde12345";
/// The only binary media type of the template.
const BINARY: &str = "multipart/form-data";
/// The largest request, in bytes.
const MAX_BODY: usize = 10 * 1024 * 1024;
/// Of these nobody asks the authorizer.
const OPEN: [&str; 3] = ["/health", "/health/ready", "/openapi.json"];

/// An address in front of functions. It ends with this value.
pub struct Gateway {
    address: SocketAddr,
    _server: JoinSet<()>,
}

struct Api {
    routes: Routes,
    functions: HashMap<String, Arc<Function>>,
    callers: Callers,
}

impl Gateway {
    /// One in front of these functions, by their names; `authorizer` must be among them.
    pub async fn start(functions: HashMap<String, Arc<Function>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("it listens");
        let routes = Routes::read(&tests::data::project_file("Cargo.toml"));
        let callers = Callers::new(Arc::clone(&functions["authorizer"]));
        let router = Router::new().fallback(serve).with_state(Arc::new(Api { routes, functions, callers }));
        let listener = listener.tap_io(|socket| {
            let _ = socket.set_nodelay(true);
        });
        let mut server = JoinSet::new();
        server.spawn(async move {
            let _ = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await;
        });
        Self { address, _server: server }
    }

    /// The address of the stage.
    pub fn url(&self) -> String {
        format!("http://{}/{STAGE}", self.address)
    }
}

async fn serve(State(api): State<Arc<Api>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix("/").and_then(|path| path.strip_prefix(STAGE)).unwrap_or_default();
    let found = api.routes.find(&parts.method, path);
    let function = found.as_ref().and_then(|found| api.functions.get(found.function));
    let (Some(found), Some(function)) = (&found, function) else {
        return refusal(StatusCode::FORBIDDEN, "Missing Authentication Token");
    };
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long");
    };
    let mut event = event(&parts, path, &body, found, peer.ip());
    if !OPEN.contains(&path) {
        match api.callers.of(&event).await {
            Verdict::Allowed(context) => event["requestContext"]["authorizer"] = context,
            Verdict::Unknown => return refusal(StatusCode::UNAUTHORIZED, "Unauthorized"),
            Verdict::Denied => return refusal(StatusCode::FORBIDDEN, "User is not authorized to access this resource"),
            Verdict::Failed => return refusal(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error"),
        }
    }
    response(function.invoke(event).await, &parts.headers)
}
