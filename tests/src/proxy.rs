use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The most that is read at once, in bytes.
const CHUNK: usize = 16 * 1024;

/// A TCP proxy that forwards, unless it is told to do harm. It ends, with all its connections, with this value.
pub struct Proxy {
    scheme: String,
    address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    traffic: Arc<Mutex<Traffic>>,
    connections: Arc<Mutex<JoinSet<()>>>,
    cut: watch::Sender<()>,
    listener: JoinSet<()>,
}

/// What passed, and what is to be done with what passes.
#[derive(Default)]
struct Traffic {
    /// What the clients sent, one after another for each connection.
    sent: Vec<Vec<u8>>,
    /// How many bytes the target sent.
    received: usize,
    to_target: Duration,
    to_client: Duration,
    /// Nothing passes on connections with a lower number.
    silent_below: usize,
    /// What the target does not get, and how often it still does.
    lost: Option<(String, usize)>,
}

#[derive(Clone, Copy)]
enum Way {
    ToTarget,
    ToClient,
}

impl Proxy {
    /// A proxy on a free port in front of an address such as `redis://127.0.0.1:6379`.
    pub async fn start(target: &str) -> Self {
        let url: Url = target.parse().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut proxy = Self {
            scheme: url.scheme().to_owned(),
            address: listener.local_addr().unwrap(),
            target: Arc::new(Mutex::new(address(&url))),
            traffic: Arc::default(),
            connections: Arc::default(),
            cut: watch::Sender::new(()),
            listener: JoinSet::new(),
        };
        proxy.listen(listener);
        proxy
    }

    /// Its address, with the scheme of its target.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Holds back each byte for so long on its way to the target and to the client. It is no limit of the throughput.
    pub fn delay(&self, to_target: Duration, to_client: Duration) {
        let mut traffic = self.traffic.lock().unwrap();
        (traffic.to_target, traffic.to_client) = (to_target, to_client);
    }

    /// From now on nothing passes, and neither end is told, whether a connection stands or is made later.
    pub fn silence(&self) {
        self.traffic.lock().unwrap().silent_below = usize::MAX;
    }

    /// From now on nothing passes on the connections that stand, and neither end is told: so does a gateway drop idle
    /// connections. New ones work; this is also how a silence ends.
    pub fn blackhole_existing(&self) {
        let mut traffic = self.traffic.lock().unwrap();
        traffic.silent_below = traffic.sent.len();
    }

    /// From now on connections end where a client sends this text, but for the first so many times.
    pub fn lose_after(&self, times: usize, text: &str) {
        self.traffic.lock().unwrap().lost = Some((text.to_owned(), times));
    }

    /// Lets everything pass again.
    pub fn lose_nothing(&self) {
        self.traffic.lock().unwrap().lost = None;
    }

    /// Resets all connections that stand. New ones work.
    pub async fn cut(&self) {
        let mut connections = std::mem::take(&mut *self.connections.lock().unwrap());
        self.cut.send_replace(());
        while connections.join_next().await.is_some() {}
    }

    /// Leads to another address from now on. Connections to the one before are reset.
    pub async fn lead_to(&self, target: &str) {
        *self.target.lock().unwrap() = address(&target.parse().unwrap());
        self.cut().await;
    }

    /// Refuses new connections. Those that stand go on.
    pub async fn refuse(&mut self) {
        self.listener.shutdown().await;
    }

    /// Takes new connections again.
    pub async fn accept(&mut self) {
        self.refuse().await;
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.listen(listener);
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.traffic.lock().unwrap().sent.len()
    }

    /// How many bytes the clients sent so far, those that were swallowed included.
    pub fn sent(&self) -> usize {
        self.traffic.lock().unwrap().sent.iter().map(Vec::len).sum()
    }

    /// How many bytes the target sent so far, those that were swallowed included.
    pub fn received(&self) -> usize {
        self.traffic.lock().unwrap().received
    }

    /// How often the clients sent this text so far, such as `POST / HTTP/1.1`.
    pub fn occurrences(&self, text: &str) -> usize {
        let count = |sent: &Vec<u8>| sent.windows(text.len()).filter(|window| *window == text.as_bytes()).count();
        self.traffic.lock().unwrap().sent.iter().map(count).sum()
    }

    fn listen(&mut self, listener: TcpListener) {
        let (target, traffic) = (Arc::clone(&self.target), Arc::clone(&self.traffic));
        let (connections, cut) = (Arc::clone(&self.connections), self.cut.subscribe());
        self.listener.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let target = *target.lock().unwrap();
                let mut connections = connections.lock().unwrap();
                // A cut that came before this connection is not for it.
                let mut cut = cut.clone();
                cut.mark_unchanged();
                connections.spawn(serve(client, target, Arc::clone(&traffic), cut));
            }
        });
    }
}

fn address(url: &Url) -> SocketAddr {
    url.socket_addrs(|| None).unwrap()[0]
}

async fn serve(mut client: TcpStream, target: SocketAddr, traffic: Arc<Mutex<Traffic>>, mut cut: watch::Receiver<()>) {
    let number = {
        let mut traffic = traffic.lock().unwrap();
        traffic.sent.push(Vec::new());
        traffic.sent.len() - 1
    };
    let Ok(mut server) = TcpStream::connect(target).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let both = async {
        tokio::join!(
            pipe(from_client, to_server, Way::ToTarget, number, &traffic),
            pipe(from_server, to_client, Way::ToClient, number, &traffic),
        )
    };
    let is_cut = tokio::select! {
        _ = both => false,
        _ = cut.changed() => true,
    };
    if is_cut {
        // Closing then resets the connection, as the end of a machine does.
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

async fn pipe(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, way: Way, number: usize, traffic: &Mutex<Traffic>) {
    let (queue, mut waiting) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let is_silent = || number < traffic.lock().unwrap().silent_below;
    let read = async move {
        let mut chunk = vec![0; CHUNK];
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            let Some(delay) = traffic.lock().unwrap().note(way, number, &chunk[..length]) else { return };
            let due = Instant::now() + delay;
            if queue.send((due, chunk[..length].to_vec())).is_err() {
                return;
            }
        }
        if is_silent() {
            // The other end is not to learn of the end of this one.
            std::future::pending::<()>().await;
        }
    };
    let write = async move {
        while let Some((due, chunk)) = waiting.recv().await {
            tokio::time::sleep_until(due).await;
            if !is_silent() && to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

impl Traffic {
    /// Counts a chunk and says how long it is held back; nothing if it is lost.
    fn note(&mut self, way: Way, number: usize, chunk: &[u8]) -> Option<Duration> {
        match way {
            Way::ToTarget => {
                self.sent[number].extend_from_slice(chunk);
                if let Some((text, left)) = &mut self.lost
                    && chunk.windows(text.len()).any(|window| window == text.as_bytes())
                {
                    *left = left.checked_sub(1)?;
                }
                Some(self.to_target)
            }
            Way::ToClient => {
                self.received += chunk.len();
                Some(self.to_client)
            }
        }
    }
}
