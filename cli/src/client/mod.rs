//! A host, as the command calls it: `POST /shell` for one whole reply, `POST /v1/runs` for a run as it happens.

mod error;
mod events;
mod signing;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream};
use ocho_core::signature::{Token, sha256};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;

use crate::command::Line;
use crate::target::Target;
use crate::upload::{Body, Progress, Source};
pub(crate) use error::CallError;
use error::{Text, broken, innermost, refusal};
pub(crate) use events::{Ended, Event, Events};
pub(crate) use signing::Scheme;
use signing::Unsigned;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The longest run that a host allows a job takes six hours; a request that lasts longer is lost.
const REPLY_LIMIT: Duration = Duration::from_secs(7 * 3600);
/// Tells a silent host from one that is gone.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// A host cuts a tool's output at 16 MiB; escaped as JSON it is at most six times as long.
pub(crate) const REPLY_LIMIT_BYTES: usize = 128 << 20;
const BLOCK_BYTES: usize = 64 << 10;

/// What a host says about a run that is over.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Reply {
    /// Whether the tool ended with exit code 0.
    pub(crate) ok: bool,
    /// How long it took, in milliseconds.
    #[serde(default)]
    pub(crate) ms: f64,
    /// What the tool printed.
    pub(crate) out: String,
}

/// What a host is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct HostVersion {
    /// The version of its program.
    pub(crate) ochod: String,
    /// The version of the contract that its tools are built against.
    pub(crate) contract: String,
}

/// A host and the means to call it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    target: Target,
    token: Option<Token>,
    scheme: Scheme,
}

/// An answer that has begun.
struct Exchange {
    host: String,
    response: Response,
}

/// A request to `/v1` whose answer is one value.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Names and values, of characters that need no encoding.
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Body>,
}

impl Ask {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: Vec::new(), body: None }
    }
}

/// One request of ours, before it is signed.
#[derive(Default)]
struct Call<'a> {
    method: Method,
    path: &'a str,
    query: &'a str,
    line: Option<&'a Line>,
    body: Option<Body>,
    progress_wanted: bool,
    variables: &'a [(String, String)],
}

impl Client {
    pub(crate) fn new(target: Target, token: Option<Token>, scheme: Scheme) -> Result<Self, CallError> {
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
        Ok(Self { http, target, token, scheme })
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Runs a command and waits for its end. Dropping the future ends the run.
    pub(crate) async fn shell(&self, line: &Line, body: Option<Body>, progress_wanted: bool) -> Result<Reply, CallError> {
        let call = Call { method: Method::POST, path: "/shell", line: Some(line), body, progress_wanted, ..Call::default() };
        self.json(self.call(call).await?).await
    }

    /// Starts a command, to be followed as it runs. Dropping the events ends the run.
    pub(crate) async fn start(&self, line: &Line, body: Option<Body>, progress_wanted: bool) -> Result<Events, CallError> {
        let call = Call { method: Method::POST, path: "/v1/runs", line: Some(line), body, progress_wanted, ..Call::default() };
        Ok(Events::of(self.call(call).await.map_err(older)?))
    }

    /// Starts a job, to be followed as it runs. It goes on when the events are dropped.
    pub(crate) async fn start_job(
        &self,
        names: &str,
        variables: &[(String, String)],
        body: Body,
        progress_wanted: bool,
    ) -> Result<Events, CallError> {
        let path = format!("/v1/jobs/{}", in_a_path(names));
        let call = Call { method: Method::POST, path: &path, body: Some(body), progress_wanted, variables, ..Call::default() };
        Ok(Events::of(self.call(call).await.map_err(older)?))
    }

    /// Asks what the host is.
    pub(crate) async fn version(&self) -> Result<HostVersion, CallError> {
        let call = Call { path: "/v1/host", ..Call::default() };
        self.json(self.call(call).await.map_err(older)?).await
    }

    /// Sends a request to `/v1` and reads its answer.
    pub(crate) async fn ask<T: for<'de> Deserialize<'de>>(&self, ask: Ask) -> Result<T, CallError> {
        let query: Vec<String> = ask.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let call = Call { method: ask.method, path: &ask.path, query: &query.join("&"), body: ask.body, ..Call::default() };
        self.json(self.call(call).await.map_err(older)?).await
    }

    /// Reads something of `/v1`.
    pub(crate) async fn get<T: for<'de> Deserialize<'de>>(&self, path: &str, query: &str) -> Result<T, CallError> {
        self.json(self.call(Call { path, query, ..Call::default() }).await.map_err(older)?).await
    }

    /// Takes something of `/v1` away.
    pub(crate) async fn delete<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<T, CallError> {
        self.json(self.call(Call { method: Method::DELETE, path, ..Call::default() }).await.map_err(older)?).await
    }

    /// Reads events of something that goes on by itself.
    pub(crate) async fn get_events(&self, path: &str) -> Result<Events, CallError> {
        Ok(Events::of(self.call(Call { path, ..Call::default() }).await.map_err(older)?))
    }

    /// Sends a request, and gives the answer once it begins; an answer without success is an error.
    async fn call(&self, call: Call<'_>) -> Result<Exchange, CallError> {
        let host = self.target.label();
        let sent_bytes = call.body.as_ref().map_or(0, |body| body.length_bytes);
        let response = self.request(call)?.send().await.map_err(|error| broken(host, &error, REPLY_LIMIT))?;
        let status = response.status();
        let exchange = Exchange { host: host.to_owned(), response };
        if status.is_success() {
            return Ok(exchange);
        }
        let answer = exchange.read().await?;
        Err(refusal(host, status, &answer, sent_bytes))
    }

    fn request(&self, call: Call<'_>) -> Result<RequestBuilder, CallError> {
        let mut url = self.target.url(call.path);
        url.set_query(Some(call.query).filter(|query| !query.is_empty()));
        let path_and_query = url.query().map_or_else(|| call.path.to_owned(), |query| format!("{}?{query}", call.path));
        let mut request = self.http.request(call.method.clone(), url);
        let line = call.line.map_or(&b""[..], |line| line.text().as_bytes());
        if call.line.is_some() {
            let value = HeaderValue::from_bytes(line)
                .map_err(|_| CallError::Setup("the command line does not fit a header".to_owned()))?;
            request = request.header("X-Shell", value);
        }
        let mut variables = Vec::new();
        for (name, value) in call.variables {
            let name = format!("x-var-{}", name.to_ascii_lowercase());
            let unfit = |_| CallError::Setup(format!("`{name}` does not fit a header"));
            request = request.header(name.as_str(), HeaderValue::from_bytes(value.as_bytes()).map_err(unfit)?);
            variables.push((name, value.trim().as_bytes().to_vec()));
        }
        if let Some(token) = &self.token {
            let body_sha256 = call.body.as_ref().map_or_else(|| sha256(b""), |body| body.sha256);
            let unsigned =
                Unsigned { method: call.method.as_str(), path_and_query: &path_and_query, line, variables, body_sha256 };
            request = request.headers(signing::headers(self.scheme, token, &unsigned));
        }
        Ok(match call.body {
            Some(body) => with_body(request, body, call.progress_wanted),
            None => request,
        })
    }

    async fn json<T: for<'de> Deserialize<'de>>(&self, exchange: Exchange) -> Result<T, CallError> {
        let host = exchange.host.clone();
        let answer = exchange.read().await?;
        serde_json::from_slice(&answer).map_err(|_| CallError::NotAPortal { host, text: Text::of(&answer) })
    }
}

impl Exchange {
    /// Reads the whole answer.
    async fn read(mut self) -> Result<Bytes, CallError> {
        let mut answer = BytesMut::new();
        loop {
            let block = self.response.chunk().await.map_err(|error| broken(&self.host, &error, REPLY_LIMIT))?;
            let Some(block) = block else { return Ok(answer.freeze()) };
            if answer.len() + block.len() > REPLY_LIMIT_BYTES {
                return Err(CallError::TooLong { host: self.host, limit_bytes: REPLY_LIMIT_BYTES });
            }
            answer.extend_from_slice(&block);
        }
    }
}

/// Names as they stand in a path, where `+` separates them.
fn in_a_path(names: &str) -> String {
    use std::fmt::Write as _;
    names.bytes().fold(String::new(), |mut path, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' => path.push(char::from(byte)),
            other => write!(path, "%{other:02X}").expect("a String takes everything"),
        }
        path
    })
}

/// A path of `/v1` that is not there: the host may be one of the original.
fn older(error: CallError) -> CallError {
    match error {
        CallError::NotAPortal { host, text } => CallError::Older { host, text },
        other => other,
    }
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
