//! One HTTP request to a peer: a connection of its own, a limit on time and on the size of the answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No answer that we read is larger: control requests are answered with next to nothing.
const ANSWER_BYTES: usize = 1 << 20;

/// What to ask.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) method: Method,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) path: &'a str,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("cannot connect: {0}")]
    Connect(#[source] std::io::Error),
    #[error("no HTTP answer: {0}")]
    Http(#[source] hyper::Error),
    #[error("the answer cannot be read: {0}")]
    Answer(String),
    #[error("the address makes no request: {0}")]
    Address(#[source] http::Error),
    #[error("no answer within {} s", .0.as_secs_f32())]
    Late(Duration),
}

/// Asks, and waits for the whole answer at most for `limit`.
pub(crate) async fn ask(question: Question<'_>, limit: Duration) -> Result<(StatusCode, Bytes), AskError> {
    timeout(limit, ask_without_limit(question)).await.unwrap_or(Err(AskError::Late(limit)))
}

async fn ask_without_limit(question: Question<'_>) -> Result<(StatusCode, Bytes), AskError> {
    let stream = TcpStream::connect((question.host, question.port)).await.map_err(AskError::Connect)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(AskError::Http)?;
    let mut request = Request::builder()
        .method(question.method)
        .uri(question.path)
        .header(header::HOST, authority(question.host, question.port))
        .header(header::CONNECTION, "close")
        .body(Full::new(question.body))
        .map_err(AskError::Address)?;
    request.headers_mut().extend(question.headers);
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(AskError::Http)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
        Ok((status, body.map_err(|cause| AskError::Answer(cause.to_string()))?.to_bytes()))
    };
    // The connection is driven here and not by a task of its own, so that a caller who gives up closes it.
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        _ = &mut connection => exchange.await,
    }
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
