use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use shared::http::ClientIp;

/// Notes whom a request is counted against: the peer of the connection, or whom the proxies in front name.
pub(crate) async fn note(State(hops): State<usize>, mut request: Request, next: Next) -> Response {
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() {
        let ip = ClientIp::behind_proxies(peer.ip(), request.headers(), hops);
        request.extensions_mut().insert(ip);
    }
    next.run(request).await
}
