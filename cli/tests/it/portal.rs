//! A portal for tests: keeps what it received and answers as told.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::stream;
use ocho_core::signature::{SignedRequest, Token, sha256};
use tokio::net::TcpSocket;
use tokio::sync::{Semaphore, oneshot};

/// Long enough for a busy machine, and never reached by a test that passes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// What came with one request.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) line: String,
    /// `X-Signature`.
    pub(crate) signature: Option<String>,
    pub(crate) parts: Vec<Part>,
    method: String,
    headers: HeaderMap,
    body_sha256: [u8; 32],
}

impl Received {
    /// Whether `X-Signature-256` is there, right for this token, and made just now.
    pub(crate) fn is_signed_whole_with(&self, secret: &str) -> bool {
        let text = |name| self.headers.get(name).map(|value: &axum::http::HeaderValue| value.to_str().unwrap());
        let (Some(time), Some(nonce), Some(signature)) = (text("x-ocho-time"), text("x-ocho-nonce"), text("x-signature-256"))
        else {
            return false;
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let signed = SignedRequest {
            time,
            nonce,
            method: &self.method,
            path_and_query: &self.path,
            shell: self.line.as_bytes(),
            variables: Vec::new(),
            body_sha256: self.body_sha256,
        };
        nonce.len() == 32
            && time.parse::<u64>().unwrap().abs_diff(now) < 300
            && Token::new(secret).unwrap().verify_request(&signed, signature.as_bytes())
    }
}

/// One part of a form: its field, its file name, its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) file_name: String,
    pub(crate) bytes: Bytes,
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Ran {
        ok: bool,
        out: String,
    },
    Raw {
        status: u16,
        body: String,
    },
    /// Lines of `/v1/runs`; the ones behind `None` wait for [`Portal::go_on`].
    Events(Vec<Option<&'static str>>),
    /// No answer until the caller goes away.
    Never,
}

impl Answer {
    pub(crate) fn ok(out: &str) -> Self {
        Self::Ran { ok: true, out: out.to_owned() }
    }

    pub(crate) fn failed(out: &str) -> Self {
        Self::Ran { ok: false, out: out.to_owned() }
    }

    /// An error of `/v1`.
    pub(crate) fn problem(status: u16, code: &str, message: &str) -> Self {
        let error = serde_json::json!({"version": 1, "error": {"code": code, "message": message}});
        Self::raw(status, &error.to_string())
    }

    pub(crate) fn raw(status: u16, body: &str) -> Self {
        Self::Raw { status, body: body.to_owned() }
    }
}

#[derive(Default)]
struct Seen {
    received: Vec<Received>,
    abandoned: usize,
}

/// What `GET /v1/host` answers.
const HOST: &str = r#"{"version": 1, "ochod": "9.8.7", "contract": "0.1"}"#;

struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
    go_on: Semaphore,
    answer: Box<dyn Fn(&Received) -> Answer + Send + Sync>,
}

/// A running portal. It ends when it is dropped.
pub(crate) struct Portal {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Keeps the port when it was stopped: another test would get it at once.
    _port: TcpSocket,
}

/// A port that refuses connections: bound, and not listened on. Who knows it may listen there as well.
pub(crate) fn port(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

/// Any free port of the loopback.
pub(crate) fn free() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

impl Portal {
    pub(crate) fn start(answer: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            changed: Condvar::new(),
            go_on: Semaphore::new(0),
            answer: Box::new(answer),
        });
        let held = port(free());
        let address = held.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(async { port(address).listen(1024).unwrap() });
        let (stop, stopped) = oneshot::channel::<()>();
        let app = Router::new()
            .route("/shell", post(answer_request))
            .route("/v1/runs", post(answer_request))
            .route("/v1/host", get(answer_request))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    served = async { axum::serve(listener, app).await } => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { address, shared, stop: Some(stop), thread: Some(thread), _port: held }
    }

    /// A portal that answers each line with what it received: `<line>` and the names of the files.
    pub(crate) fn echo() -> Self {
        Self::start(|received| {
            let names: Vec<&str> = received.parts.iter().map(|part| part.name.as_str()).collect();
            Answer::ok(format!("{} {}", received.line, names.join(" ")).trim_end())
        })
    }

    /// Lets a run that waits go on.
    pub(crate) fn go_on(&self) {
        self.shared.go_on.add_permits(1);
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.seen().received.clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.received().into_iter().map(|received| received.line).collect()
    }

    /// Waits until a line has arrived.
    pub(crate) fn wait_for_line(&self, line: &str) {
        self.wait(|seen| seen.received.iter().any(|received| received.line == line));
    }

    /// Waits until so many callers went away without an answer.
    pub(crate) fn wait_for_abandoned(&self, count: usize) {
        self.wait(|seen| seen.abandoned == count);
    }

    #[track_caller]
    fn wait(&self, done: impl Fn(&Seen) -> bool) {
        let (seen, outcome) = self.shared.changed.wait_timeout_while(self.seen(), LONG, |seen| !done(seen)).unwrap();
        assert!(!outcome.timed_out(), "waited too long; received: {:?}", seen.received);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().unwrap()
    }
}

impl Portal {
    /// Stops listening; what was received stays readable, and nobody else gets the port.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else { return };
        let ended = thread.join();
        if !std::thread::panicking() {
            assert!(ended.is_ok(), "the portal broke");
        }
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
    }
}

async fn answer_request(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 30).await.unwrap();
    let text = |name: &str| parts.headers.get(name).map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap());
    let received = Received {
        path: parts.uri.path_and_query().unwrap().to_string(),
        line: text("x-shell").unwrap_or_default(),
        signature: text("x-signature"),
        method: parts.method.to_string(),
        headers: parts.headers.clone(),
        body_sha256: sha256(&body),
        parts: form_parts(Request::from_parts(parts, Body::from(body))).await,
    };
    let path = received.path.clone();
    let answer = if path == "/v1/host" { Answer::raw(200, HOST) } else { (shared.answer)(&received) };
    shared.change(|seen| seen.received.push(received));
    match answer {
        Answer::Ran { ok, out } if path == "/shell" => {
            let body = format!("{{\"ok\": {ok}, \"ms\": 1.5, \"out\": {}}}", serde_json::Value::from(out));
            ([("content-type", "application/json; charset=utf-8")], body).into_response()
        }
        Answer::Ran { ok, out } => {
            let out = if out.is_empty() { out } else { out + "\n" };
            let code = i32::from(!ok);
            format!(
                "{STARTED}\n{{\"event\":\"out\",\"text\":{}}}\n\
                 {{\"event\":\"ended\",\"ok\":{ok},\"exit_code\":{code},\"elapsed_ms\":2,\"truncated\":false}}\n",
                serde_json::Value::from(out)
            )
            .into_response()
        }
        Answer::Raw { status, body } => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Answer::Events(lines) => Body::from_stream(live(shared, lines)).into_response(),
        Answer::Never => {
            let _told_when_dropped = Abandoned(shared);
            std::future::pending().await
        }
    }
}

/// The first event of every run.
pub(crate) const STARTED: &str = r#"{"event":"started","run":"01JRUN","tool":"x","revision":1}"#;

fn live(shared: Arc<Shared>, lines: Vec<Option<&'static str>>) -> impl futures::Stream<Item = Result<String, String>> {
    let unfinished = Abandoned(Arc::clone(&shared));
    stream::unfold((lines.into_iter(), unfinished), move |(mut lines, unfinished)| {
        let shared = Arc::clone(&shared);
        async move {
            let line = match lines.next() {
                Some(None) => {
                    shared.go_on.acquire().await.unwrap().forget();
                    lines.next()?
                }
                other => other?,
            };
            Some((Ok(format!("{}\n", line?)), (lines, unfinished)))
        }
    })
}

async fn form_parts(request: Request) -> Vec<Part> {
    let is_form = request.headers().get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/form-data"));
    let mut parts = Vec::new();
    if is_form {
        let mut form = Multipart::from_request(request, &()).await.unwrap();
        while let Some(field) = form.next_field().await.unwrap() {
            let (name, file_name) = (field.name().unwrap().to_owned(), field.file_name().unwrap().to_owned());
            parts.push(Part { name, file_name, bytes: field.bytes().await.unwrap() });
        }
    }
    parts
}

/// Counts an answer that is over without its end, mostly since the caller went away; the server drops it then.
struct Abandoned(Arc<Shared>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.change(|seen| seen.abandoned += 1);
    }
}
