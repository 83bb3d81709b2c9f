use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::Shared;

/// A listener whose open connections are counted.
pub(super) struct Counted {
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// One of its connections.
pub(super) struct Connection {
    stream: TcpStream,
    shared: Arc<Shared>,
}

/// An answer that is not over.
pub(super) struct Open {
    shared: Arc<Shared>,
    over: bool,
}

impl Counted {
    pub(super) fn new(listener: TcpListener, shared: Arc<Shared>) -> Self {
        Self { listener, shared }
    }
}

impl Listener for Counted {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Or pieces would wait for each other.
        let _ = stream.set_nodelay(true);
        self.shared.connections.fetch_add(1, SeqCst);
        (Connection { stream, shared: Arc::clone(&self.shared) }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.connections.fetch_sub(1, SeqCst);
    }
}

impl Open {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        shared.open.fetch_add(1, SeqCst);
        Self { shared, over: false }
    }

    /// The answer is complete, or as far as it was to go.
    pub(super) fn end(&mut self) {
        self.over = true;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // First, so that who sees no open answer knows how each of them ended.
        if !self.over {
            self.shared.left.fetch_add(1, SeqCst);
        }
        self.shared.open.fetch_sub(1, SeqCst);
    }
}
