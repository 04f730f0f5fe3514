//! Serving a face: how many connections at once, how long one may take over a request, and how they end with the host.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::linger::Lingering;

/// What a face allows its callers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Connections at once; more wait in the kernel's queue.
    pub(crate) connections: usize,
    /// For the head of a request, and between two requests of a connection.
    pub(crate) head: Duration,
    /// Between two pieces of a request's body.
    pub(crate) body: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connections: 4096, head: Duration::from_secs(30), body: Duration::from_secs(60) }
    }
}

/// Headers of a request: each variable of a job is one.
const HEADERS: usize = 256;

/// After a failed accept (no more files, as a rule) comes a pause, or the loop would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`; then no more connections are taken, and those that are there end with the request that they are at.
pub(crate) async fn serve(listener: TcpListener, app: Router, patience: Patience, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(patience.connections));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, place)) => {
                let connection = connection(stream, app.clone(), patience, stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.expect("never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Ok((stream, place)),
            Err(error) if is_of_the_caller(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// A caller that went away before it was accepted.
fn is_of_the_caller(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection(stream: TcpStream, app: Router, patience: Patience, stop: CancellationToken) {
    // A line of JSON is to leave at once, not with the next one.
    let _ = stream.set_nodelay(true);
    let app = TowerToHyperService::new(app);
    let answer =
        service_fn(move |request: Request<Incoming>| app.call(request.map(|body| Body::new(Patient::new(body, patience.body)))));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(patience.head).max_headers(HEADERS);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(Lingering::new(stream)), answer));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A caller that went away or took too long: nothing that an operator could do about.
        tracing::debug!(%error, "a connection ended");
    }
}

/// A body that ends with an error where its next piece does not come in time.
struct Patient<B> {
    body: B,
    limit: Duration,
    /// Only while a piece is waited for.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<B> Patient<B> {
    fn new(body: B, limit: Duration) -> Self {
        Self { body, limit, waiting: None }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Patient<B>
where
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        match waiting.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(format!("the next piece did not come within {} s", limit.as_secs()).into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::post;
    use http_body_util::BodyExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Notify;

    use super::*;

    const PATIENCE: Patience = Patience { connections: 2, head: Duration::from_secs(4), body: Duration::from_secs(4) };

    /// Where it is served, what stops it, and its end.
    async fn server() -> (String, CancellationToken, tokio::task::JoinHandle<()>) {
        server_that_tells(Arc::default()).await
    }

    /// One that tells of each request that begins.
    async fn server_that_tells(begun: Arc<Notify>) -> (String, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let echo = async move |body: Body| {
            begun.notify_one();
            body.collect().await.map_or_else(|error| format!("no: {error}"), |body| format!("{} bytes", body.to_bytes().len()))
        };
        let (app, stop) = (Router::new().route("/", post(echo)), CancellationToken::new());
        let serving = tokio::spawn(serve(listener, app, PATIENCE, stop.clone()));
        (address, stop, serving)
    }

    const WHOLE: &[u8] = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";

    async fn send(address: &str, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // It may have enough before the end, and hang up.
        let _ = stream.write_all(bytes).await;
        stream
    }

    /// All that comes until the server hangs up.
    async fn all(mut stream: TcpStream) -> String {
        let mut said = String::new();
        let read = stream.read_to_string(&mut said);
        // One that was still sending may be cut off.
        let _ = tokio::time::timeout(Duration::from_secs(60), read).await.expect("the server hangs up");
        said
    }

    #[tokio::test]
    async fn callers_that_dawdle_are_cut_and_the_others_get_their_turn() {
        let (address, stop, serving) = server().await;
        // Two that never end their heads take both places; the third is answered once they are gone.
        let slow = [send(&address, b"POST / HT").await, send(&address, b"").await];
        let third = send(&address, WHOLE).await;
        for stream in slow {
            assert!(!all(stream).await.contains("200 OK"));
        }
        let answer = all(third).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("2 bytes"), "{answer}");
        let half = all(send(&address, &WHOLE[..WHOLE.len() - 1]).await).await;
        assert!(half.ends_with("no: the next piece did not come within 4 s"), "{half}");
        stop.cancel();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_request_under_way_is_answered_at_the_end() {
        let begun = Arc::new(Notify::new());
        let (address, stop, serving) = server_that_tells(Arc::clone(&begun)).await;
        let idle = send(&address, b"").await;
        let mut stream = send(&address, &WHOLE[..WHOLE.len() - 1]).await;
        // Connections are accepted in their order, so both are there now.
        begun.notified().await;
        stop.cancel();
        stream.write_all(b"i").await.unwrap();
        assert!(all(stream).await.ends_with("2 bytes"));
        assert!(all(idle).await.is_empty());
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn nonsense_is_answered_and_ends_the_connection() {
        let (address, stop, serving) = server().await;
        for nonsense in [&b"\x16\x03\x01\x02\0\x01\0"[..], b"GET\r\n\r\n", &[0; 4096], &[b'x'; 600_000]] {
            let said = all(send(&address, nonsense).await).await;
            assert!(!said.contains("200 OK"), "{said}");
        }
        stop.cancel();
        serving.await.unwrap();
    }
}
