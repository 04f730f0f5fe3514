//! The servo: CI systems hand over bundles of jobs and wait for the outcome, in the forms that the original's callers know.
//!
//! [`routes`] answers `POST /run/<a+b>` and the callbacks. [`jobs`] keeps what waits and runs, [`sequence`] carries one out:
//! [`bundle`] unpacks it, [`secrets`] decrypts, [`find`] chooses a component, [`code`] compiles it once; [`callback`] drops files in.

mod accept;
pub mod authorities;
mod bundle;
mod callback;
mod code;
pub mod config;
pub mod exec;
mod find;
mod folders;
pub mod jobs;
pub mod log;
mod reach;
mod secrets;
mod sequence;
mod upload;
pub mod variables;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use ocho_core::json;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use crate::auth::Auth;
use crate::portal::BODY_BYTES;
use callback::DroppedIn;
use jobs::{Job, JobOrder, Jobs, State as JobState};
use variables::Variables;

/// What the servo needs.
#[derive(Clone)]
pub struct Servo {
    /// Runs the jobs.
    pub jobs: Jobs,
    /// Who may call.
    pub auth: Auth,
}

/// A file that is dropped into a job.
const CALLBACK_BYTES: usize = 16 << 20;

/// The servo's routes.
pub fn routes(servo: Servo) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(answer)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(servo)
}

/// Where a request goes. A slash, encoded or not, fits no name.
enum Route {
    Run(String),
    Callback { secret: String, name: String },
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        let parts: Option<Vec<String>> = path.strip_prefix('/')?.split('/').map(segment).collect();
        match &parts?[..] {
            [run, names] if run == "run" => Some(Self::Run(names.clone())),
            [callback, secret] if callback == "callback" => {
                Some(Self::Callback { secret: secret.clone(), name: "callback.raw".to_owned() })
            }
            [callback, secret, name] if callback == "callback" => {
                Some(Self::Callback { secret: secret.clone(), name: name.clone() })
            }
            _ => None,
        }
    }
}

fn segment(raw: &str) -> Option<String> {
    let text = percent_decode_str(raw).decode_utf8_lossy().into_owned();
    (!text.is_empty() && !text.contains('/')).then_some(text)
}

async fn answer(State(servo): State<Servo>, request: Request) -> Response {
    let Some(route) = Route::of(request.uri().path()) else { return page(StatusCode::NOT_FOUND, "404 Not Found") };
    match *request.method() {
        Method::POST => {}
        Method::OPTIONS => return (ALLOW, Body::empty()).into_response(),
        _ => return (ALLOW, page(StatusCode::METHOD_NOT_ALLOWED, "405 Method Not Allowed")).into_response(),
    }
    match route {
        Route::Run(names) => servo.run(&names, request).await.unwrap_or_else(|refused| refused),
        Route::Callback { secret, name } => servo.drop_in(&secret, &name, request).await,
    }
}

const ALLOW: [(header::HeaderName, HeaderValue); 1] = [(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"))];

fn page(status: StatusCode, title: &str) -> Response {
    (status, Html(format!("<!doctype html>\n<title>{title}</title>\n<h1>{title}</h1>\n"))).into_response()
}

/// Without a body, as the original answers.
fn bare(status: StatusCode) -> Response {
    let html = [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))];
    (status, html, Body::empty()).into_response()
}

impl Servo {
    /// The order matters: a signature, then the whole upload, then whether the two belong together, then the job.
    async fn run(&self, names: &str, request: Request) -> Result<Response, Response> {
        let form = Form::of(request.headers());
        let job = self.take(names, request, &form).await?;
        let state = job.ended().await;
        Ok(form.reply(state == JobState::Succeeded, &job.log.compatible(), Some(&job)))
    }

    async fn take(&self, names: &str, request: Request, form: &Form) -> Result<Arc<Job>, Response> {
        let forbidden = || bare(StatusCode::FORBIDDEN);
        let failure = |text: String| form.reply(false, &[text], None);
        let signature = request.headers().get("x-signature").map(|value| value.as_bytes().trim_ascii().to_vec());
        let is_whole = self.auth.takes_whole(request.headers());
        if !is_whole && signature.is_none() {
            return Err(forbidden());
        }
        let variables = Variables::read(request.headers());
        let request = if is_whole { self.auth.check(request).await.map_err(|_| forbidden())? } else { request };
        let upload = self.jobs.receive(request).await;
        let upload = upload.map_err(|error| failure(format!("unexpected failure ({error})")))?;
        if !is_whole && !signature.is_some_and(|signature| upload.pieces.clone().verify(&signature)) {
            return Err(forbidden());
        }
        let variables = variables.map_err(|error| failure(format!("failure ({error})")))?;
        let names = names.split('+').map(str::to_owned).collect();
        self.jobs.start(JobOrder { names, variables, upload }).map_err(|error| failure(format!("failure ({error})")))
    }

    async fn drop_in(&self, secret: &str, name: &str, request: Request) -> Response {
        if name == "." || name == ".." || name.contains('\0') || name.len() > 255 {
            return bare(StatusCode::BAD_REQUEST);
        }
        if !self.jobs.has_callback(secret) {
            return bare(StatusCode::NOT_FOUND);
        }
        let Ok(content) = axum::body::to_bytes(request.into_body(), CALLBACK_BYTES).await else {
            return bare(StatusCode::PAYLOAD_TOO_LARGE);
        };
        match self.jobs.drop_in(secret, name, content).await {
            DroppedIn::Taken => bare(StatusCode::OK),
            DroppedIn::Unknown => bare(StatusCode::NOT_FOUND),
            DroppedIn::Refused => bare(StatusCode::CONFLICT),
        }
    }
}

/// How a caller wants to be answered.
enum Form {
    Json,
    Text,
}

/// The original's reply: `ok` is a number.
#[derive(Serialize)]
struct Reply<'a> {
    ok: u8,
    log: &'a [String],
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        if accept::wants_json(headers) { Self::Json } else { Self::Text }
    }

    fn reply(&self, ok: bool, log: &[String], job: Option<&Arc<Job>>) -> Response {
        let typed = |value| [(header::CONTENT_TYPE, HeaderValue::from_static(value))];
        let mut response = match self {
            Self::Json => {
                (typed("application/json; charset=utf-8"), json::to_line(&Reply { ok: u8::from(ok), log })).into_response()
            }
            Self::Text => {
                let status = if ok { StatusCode::OK } else { StatusCode::PRECONDITION_FAILED };
                (status, typed("text/plain; charset=utf-8"), log.join("\n")).into_response()
            }
        };
        if let Some(job) = job {
            let id = HeaderValue::from_str(&job.id.to_string()).expect("an id is ASCII");
            response.headers_mut().insert("x-ocho-run", id);
        }
        response
    }
}

impl Jobs {
    /// Takes the bundle out of a request.
    async fn receive(&self, request: Request) -> Result<upload::Upload, upload::UploadError> {
        upload::receive(request, &self.0.folders, &self.0.token).await
    }

    /// Takes a signed request of our own command line: the bundle as the whole body's `tgz` part, variables as headers.
    ///
    /// # Errors
    /// Where it is none, with a sentence.
    pub async fn take(&self, names: &str, request: Request) -> Result<Arc<Job>, TakeError> {
        let variables = Variables::read(request.headers()).map_err(|error| TakeError::Request(error.to_string()))?;
        let upload = self.receive(request).await.map_err(|error| TakeError::Request(error.to_string()))?;
        let names = names.split('+').map(str::to_owned).collect();
        Ok(self.start(JobOrder { names, variables, upload })?)
    }
}

/// Why a job of our own command line does not start.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The request cannot be read.
    #[error("{0}")]
    Request(String),
    /// There is no place.
    #[error(transparent)]
    NotStarted(#[from] jobs::NotStarted),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_as_the_original_has_them() {
        let run = |path: &str| match Route::of(path) {
            Some(Route::Run(names)) => Some(names),
            _ => None,
        };
        assert_eq!(run("/run/a.py+b.py").as_deref(), Some("a.py+b.py"));
        assert_eq!(run("/run/a.py%2Bb.py").as_deref(), Some("a.py+b.py"));
        assert_eq!(run("/run/a%20b").as_deref(), Some("a b"));
        assert_eq!(run("/run/%ff").as_deref(), Some("\u{fffd}"));
        for other in ["/run/", "/run", "/", "", "/run/sub/x", "/run/sub%2Fx.py", "/run/..%2Fx", "/run/x/", "//run/x", "/runs/x"] {
            assert!(run(other).is_none(), "{other}");
        }
        let callback = |path: &str| match Route::of(path) {
            Some(Route::Callback { secret, name }) => Some((secret, name)),
            _ => None,
        };
        assert_eq!(callback("/callback/s"), Some(("s".to_owned(), "callback.raw".to_owned())));
        assert_eq!(callback("/callback/s/res.json"), Some(("s".to_owned(), "res.json".to_owned())));
        for other in ["/callback", "/callback/", "/callback/s/", "/callback/s/a/b", "/callback/s/a%2Fb"] {
            assert!(callback(other).is_none(), "{other}");
        }
    }
}
