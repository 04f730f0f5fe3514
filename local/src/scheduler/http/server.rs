//! Connections: accepted, bounded, and ended one by one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;

/// How long a client may take to say what it wants.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// A pause after the system refused a connection, usually for want of file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// The connection that a request came over.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) remote: SocketAddr,
    /// Cuts the connection, also while it waits for a client that does not read.
    pub(crate) cut: CancellationToken,
}

/// Serves connections until `stop`, then lets requests that are under way finish. Whoever waits for it sets the time.
pub(crate) async fn run(listener: TcpListener, router: Router, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = TaskTracker::new();
    // Dropped with this future: connections that are left are cut.
    let all = CancellationToken::new();
    let _cut_all = all.clone().drop_guard();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, remote, place)) = accepted else { continue };
        let connection = Connection { remote, cut: all.child_token() };
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            serve(stream, router, connection, stop).await;
            drop(place);
        });
    }
    connections.close();
    connections.wait().await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, remote)) => Some((stream, remote, place)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(BREATH).await;
            None
        }
    }
}

async fn serve(stream: TcpStream, router: Router, connection: Connection, stop: CancellationToken) {
    let cut = connection.cut.clone();
    // Small answers should not wait for more.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router.layer(Extension(connection)));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    tokio::select! {
        _ = serving.as_mut() => return,
        () = cut.cancelled() => return,
        () = stop.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = serving => {}
        () = cut.cancelled() => {}
    }
}
