//! The portal, as the command calls it: one request for each command, one reply.

use std::error::Error as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream};
use ocho_core::signature::Token;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;

use crate::command::Line;
use crate::target::Target;
use crate::upload::{Body, Progress, Source};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The longest run that a host allows a job takes six hours; a request that lasts longer is lost.
const REPLY_LIMIT: Duration = Duration::from_secs(7 * 3600);
/// Tells a silent host from one that is gone.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// A host cuts a tool's output at 16 MiB; escaped as JSON it is at most six times as long.
const REPLY_LIMIT_BYTES: usize = 128 << 20;
const BLOCK_BYTES: usize = 64 << 10;

/// What a host says about a run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Reply {
    /// Whether the tool ended with exit code 0.
    pub(crate) ok: bool,
    /// What the tool printed.
    pub(crate) out: String,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("i/o failure (is the proxy down ?): no connection to `{host}`: {cause}")]
    Unreachable { host: String, cause: String },
    #[error("i/o failure: the connection to `{host}` broke before it answered: {cause}")]
    Broken { host: String, cause: String },
    #[error("`{host}` did not answer within {} hours", limit.as_secs() / 3600)]
    OverTime { host: String, limit: Duration },
    #[error("`{host}` is busy (HTTP 429){text}")]
    Busy { host: String, text: Text },
    #[error("`{host}` takes no upload of {} KiB (HTTP 413){text}", bytes.div_ceil(1024))]
    TooLarge { host: String, bytes: u64, text: Text },
    #[error("`{host}` failed (HTTP {status}){text}")]
    Failed { host: String, status: u16, text: Text },
    #[error("`{host}` refused the request (HTTP {status}){text}")]
    Refused { host: String, status: u16, text: Text },
    #[error("`{host}` answered something else than a portal does{text}")]
    NotAPortal { host: String, text: Text },
    #[error("the answer of `{host}` is longer than {} MiB", limit_bytes >> 20)]
    TooLong { host: String, limit_bytes: usize },
    #[error("cannot prepare the connection: {0}")]
    Setup(String),
}

/// The first words of an answer that is not understood, with `: ` before them; nothing if there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text(String);

impl Text {
    fn of(body: &[u8]) -> Self {
        const SHOWN_CHARS: usize = 160;
        let text = String::from_utf8_lossy(&body[..body.len().min(4 * SHOWN_CHARS)]).into_owned();
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        Self(line.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect())
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(out, ": {}", self.0) }
    }
}

/// A host and the means to call it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    target: Target,
    token: Option<Token>,
}

impl Client {
    pub(crate) fn new(target: Target, token: Option<Token>) -> Result<Self, CallError> {
        // It may be there already, from another client of the same process: all of them install the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(REPLY_LIMIT)
            .tcp_keepalive(KEEPALIVE)
            .redirect(reqwest::redirect::Policy::none());
        if !target.is_https() {
            // Without TLS nobody waits for the system's certificates to be read.
            http = http.tls_certs_only([]);
        }
        if target.is_loopback() {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| CallError::Setup(innermost(&error)))?;
        Ok(Self { http, target, token })
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Runs a command on the host and waits for its end. Dropping the future ends the run.
    pub(crate) async fn run(&self, line: &Line, body: Option<Body>, progress_wanted: bool) -> Result<Reply, CallError> {
        let length_bytes = body.as_ref().map_or(0, |body| body.length_bytes);
        let mut request = self.http.post(self.target.url("shell"));
        request = self.with_line(request, line)?;
        if let Some(body) = body {
            request = with_body(request, body, progress_wanted);
        }
        let response = request.send().await.map_err(|error| self.call_error(&error))?;
        let status = response.status();
        let answer = self.read(response).await?;
        if status != StatusCode::OK {
            return Err(self.refusal(status, &answer, length_bytes));
        }
        serde_json::from_slice(&answer).map_err(|_| CallError::NotAPortal { host: self.host(), text: Text::of(&answer) })
    }

    fn with_line(&self, request: RequestBuilder, line: &Line) -> Result<RequestBuilder, CallError> {
        let header = HeaderValue::from_bytes(line.text().as_bytes())
            .map_err(|_| CallError::Setup("the command line does not fit a header".to_owned()))?;
        let request = request.header("X-Shell", header);
        Ok(match &self.token {
            Some(token) => request.header("X-Signature", token.sign(line.text().as_bytes())),
            None => request,
        })
    }

    async fn read(&self, mut response: Response) -> Result<Bytes, CallError> {
        let mut answer = BytesMut::new();
        while let Some(block) = response.chunk().await.map_err(|error| self.call_error(&error))? {
            if answer.len() + block.len() > REPLY_LIMIT_BYTES {
                return Err(CallError::TooLong { host: self.host(), limit_bytes: REPLY_LIMIT_BYTES });
            }
            answer.extend_from_slice(&block);
        }
        Ok(answer.freeze())
    }

    fn refusal(&self, status: StatusCode, answer: &[u8], bytes: u64) -> CallError {
        let (host, text) = (self.host(), Text::of(answer));
        match status {
            StatusCode::TOO_MANY_REQUESTS => CallError::Busy { host, text },
            StatusCode::PAYLOAD_TOO_LARGE => CallError::TooLarge { host, bytes, text },
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => CallError::NotAPortal { host, text },
            status if status.is_server_error() => CallError::Failed { host, status: status.as_u16(), text },
            status if status.is_success() || status.is_redirection() => CallError::NotAPortal { host, text },
            status => CallError::Refused { host, status: status.as_u16(), text },
        }
    }

    fn call_error(&self, error: &reqwest::Error) -> CallError {
        let (host, cause) = (self.host(), innermost(error));
        if error.is_connect() {
            CallError::Unreachable { host, cause }
        } else if error.is_timeout() {
            CallError::OverTime { host, limit: REPLY_LIMIT }
        } else {
            CallError::Broken { host, cause }
        }
    }

    fn host(&self) -> String {
        self.target.label().to_owned()
    }
}

/// The last cause of an error: the layers above it only say that a request failed.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}

fn with_body(request: RequestBuilder, body: Body, progress_wanted: bool) -> RequestBuilder {
    let length_bytes = body.length_bytes;
    let progress = Progress::sending(progress_wanted, length_bytes);
    let request = request.header(CONTENT_TYPE, body.content_type.clone()).header(CONTENT_LENGTH, length_bytes);
    let stream = match body.into_source() {
        Source::Memory(bytes) => blocks(Bytes::from(bytes)).map(Ok).left_stream(),
        Source::Disk(file) => {
            tokio_util::io::ReaderStream::with_capacity(tokio::fs::File::from_std(file), BLOCK_BYTES).right_stream()
        }
    };
    let mut left = length_bytes;
    request.body(reqwest::Body::wrap_stream(stream.inspect(move |block: &std::io::Result<Bytes>| {
        let bytes = block.as_ref().map_or(0, |block| block.len() as u64);
        progress.advance(bytes);
        left = left.saturating_sub(bytes);
        if left == 0 {
            progress.finish();
        }
    })))
}

fn blocks(mut bytes: Bytes) -> impl futures::Stream<Item = Bytes> {
    stream::iter(std::iter::from_fn(move || (!bytes.is_empty()).then(|| bytes.split_to(bytes.len().min(BLOCK_BYTES)))))
}
