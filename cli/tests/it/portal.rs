//! A portal for tests: keeps what it received and answers as told.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::sync::oneshot;

/// Long enough for a busy machine, and never reached by a test that passes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// What came with one request.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) signature: Option<String>,
    pub(crate) parts: Vec<Part>,
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

    pub(crate) fn raw(status: u16, body: &str) -> Self {
        Self::Raw { status, body: body.to_owned() }
    }
}

#[derive(Default)]
struct Seen {
    received: Vec<Received>,
    abandoned: usize,
}

struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
    answer: Box<dyn Fn(&Received) -> Answer + Send + Sync>,
}

/// A running portal. It ends when it is dropped.
pub(crate) struct Portal {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Portal {
    pub(crate) fn start(answer: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared { seen: Mutex::default(), changed: Condvar::new(), answer: Box::new(answer) });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let app = Router::new().route("/shell", post(shell)).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = async { axum::serve(listener, app).await } => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// A portal that answers each line with what it received: `<line>` and the names of the files.
    pub(crate) fn echo() -> Self {
        Self::start(|received| {
            let names: Vec<&str> = received.parts.iter().map(|part| part.name.as_str()).collect();
            Answer::ok(format!("{} {}", received.line, names.join(" ")).trim_end())
        })
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
    /// Stops listening; what was received stays readable.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(matches!(ended, None | Some(Ok(()))), "the portal broke");
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

async fn shell(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let text =
        |headers: &HeaderMap, name: &str| headers.get(name).map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap());
    let line = text(request.headers(), "x-shell").unwrap_or_default();
    let signature = text(request.headers(), "x-signature");
    let received = Received { line, signature, parts: parts(request).await };
    let answer = (shared.answer)(&received);
    shared.change(|seen| seen.received.push(received));
    match answer {
        Answer::Ran { ok, out } => {
            let escaped = serde_json::Value::from(out);
            let body = format!("{{\"ok\": {ok}, \"ms\": 1.5, \"out\": {escaped}}}");
            ([("content-type", "application/json; charset=utf-8")], body).into_response()
        }
        Answer::Raw { status, body } => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Answer::Never => {
            let _told_when_dropped = Abandoned(shared);
            std::future::pending().await
        }
    }
}

async fn parts(request: Request<Body>) -> Vec<Part> {
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

/// Counts a caller that went away: then the server drops what it does for them.
struct Abandoned(Arc<Shared>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.change(|seen| seen.abandoned += 1);
    }
}
