//! Connections to pods, some of them kept for the next question.
//!
//! Made of hyper's connections rather than of its client, since we have to know whether a connection was kept (only then an
//! early end may mean that the pod had closed it long ago), and since the number kept is bounded over all pods.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONNECTION;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use ocho_core::registration::ControlAddress;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

/// Kept for one pod; tools that run at the same time ask the same pod.
const KEPT_PER_POD: usize = 4;
/// Bound of a reply's status line and headers.
const HEAD_BYTES: usize = 64 * 1024;
/// How often connections that were kept too long are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// An open connection. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _io: AbortOnDropHandle<()>,
}

impl Connection {
    pub(super) async fn open(ControlAddress { host, port }: &ControlAddress) -> io::Result<Self> {
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        stream.set_nodelay(true)?;
        let handshake = Builder::new().max_buf_size(HEAD_BYTES).handshake(TokioIo::new(stream)).await;
        let (sender, io) = handshake.map_err(io::Error::other)?;
        // What goes wrong is told to the request that is under way.
        let io = AbortOnDropHandle::new(tokio::spawn(async { drop(io.await) }));
        Ok(Self { sender, _io: io })
    }

    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }
}

/// Whether the peer said that it keeps the connection after this reply.
pub(super) fn stays_open(reply: &Response<Incoming>) -> bool {
    let says_close = |value: &http::HeaderValue| value.to_str().is_ok_and(|text| text.to_ascii_lowercase().contains("close"));
    reply.version() == Version::HTTP_11 && !reply.headers().get_all(CONNECTION).iter().any(says_close)
}

/// The connections that are kept, bounded in number and in time.
#[derive(Debug)]
pub(super) struct Kept {
    at_most: usize,
    for_at_most: Duration,
    idle: Mutex<Idle>,
}

#[derive(Debug)]
struct Idle {
    count: usize,
    by_pod: HashMap<ControlAddress, Vec<(Instant, Connection)>>,
    swept: Instant,
}

impl Kept {
    pub(super) fn new(at_most: usize, for_at_most: Duration) -> Self {
        let idle = Idle { count: 0, by_pod: HashMap::new(), swept: Instant::now() };
        Self { at_most, for_at_most, idle: Mutex::new(idle) }
    }

    /// Takes the connection that was used last.
    pub(super) fn take(&self, address: &ControlAddress) -> Option<Connection> {
        let mut idle = self.idle.lock().ok()?;
        loop {
            let (since, connection) = idle.by_pod.get_mut(address)?.pop()?;
            idle.count -= 1;
            if !connection.sender.is_closed() && since.elapsed() < self.for_at_most {
                return Some(connection);
            }
        }
    }

    pub(super) fn put(&self, address: &ControlAddress, connection: Connection) {
        let Ok(mut idle) = self.idle.lock() else { return };
        if idle.swept.elapsed() >= SWEEP.min(self.for_at_most) {
            idle.sweep(self.for_at_most);
        }
        if idle.count >= self.at_most || connection.sender.is_closed() {
            return;
        }
        let of_pod = idle.by_pod.entry(address.clone()).or_default();
        if of_pod.len() < KEPT_PER_POD {
            of_pod.push((Instant::now(), connection));
            idle.count += 1;
        }
    }
}

impl Idle {
    fn sweep(&mut self, for_at_most: Duration) {
        self.by_pod.retain(|_, of_pod| {
            of_pod.retain(|(since, connection)| !connection.sender.is_closed() && since.elapsed() < for_at_most);
            !of_pod.is_empty()
        });
        self.count = self.by_pod.values().map(Vec::len).sum();
        self.swept = Instant::now();
    }
}
