//! The portal: `POST /shell`, exactly as clients of the original expect it.

mod reply;
mod uploads;

use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::any;
use ocho_runtime::WorkFolder;
use ulid::Ulid;

use crate::auth::Auth;
use crate::runs::{Order, Outcome, Refused, Runs, words};
use crate::tools::NoTool;
use reply::Reply;

/// What the portal needs.
#[derive(Clone)]
pub struct Portal {
    /// Runs the tools.
    pub runs: Runs,
    /// Who may call.
    pub auth: Auth,
}

/// A request's body, files and all.
pub const BODY_BYTES: usize = 256 << 20;

/// So much of a run's standard error is logged; the journal has more.
const LOGGED_BYTES: usize = 1024;

/// The portal's routes.
pub fn routes(portal: Portal) -> Router {
    Router::new().route("/shell", any(shell)).fallback(not_found).layer(DefaultBodyLimit::max(BODY_BYTES)).with_state(portal)
}

/// What came of a request, before it becomes a reply.
struct Answer {
    ok: bool,
    out: String,
    run: Option<Ulid>,
}

impl Answer {
    fn failure(out: impl Into<String>) -> Self {
        Self { ok: false, out: out.into(), run: None }
    }
}

async fn shell(State(portal): State<Portal>, request: Request) -> Response {
    match *request.method() {
        Method::POST => {}
        Method::OPTIONS => return (allow(), Body::empty()).into_response(),
        _ => return (StatusCode::METHOD_NOT_ALLOWED, allow(), Html(page("405 Method Not Allowed"))).into_response(),
    }
    let started = Instant::now();
    let answer = portal.answer(request).await.unwrap_or_else(|failure| failure);
    let reply = Reply { ok: answer.ok, ms: started.elapsed().as_secs_f64() * 1000.0, out: answer.out };
    let mut response = (JSON, reply.into_body()).into_response();
    if let Some(id) = answer.run {
        let id = HeaderValue::from_str(&id.to_string()).expect("an id is ASCII");
        response.headers_mut().insert("x-ocho-run", id);
    }
    response
}

const JSON: [(header::HeaderName, HeaderValue); 1] =
    [(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"))];

fn allow() -> [(header::HeaderName, HeaderValue); 1] {
    [(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"))]
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Html(page("404 Not Found"))).into_response()
}

fn page(title: &str) -> String {
    format!("<!doctype html>\n<title>{title}</title>\n<h1>{title}</h1>\n")
}

impl Portal {
    /// The order matters: the line, then its signature, and only then the body.
    async fn answer(&self, request: Request) -> Result<Answer, Answer> {
        let failure = |why: &dyn std::fmt::Display| Answer::failure(format!("failure -> {why}"));
        let line = raw_line(&request).ok_or_else(|| failure(&"X-Shell header missing"))?.to_vec();
        let request = self.auth.check_line(request, &line).await.map_err(|denied| failure(&denied))?;
        let (argv, folder) = take_order(&self.runs, request).await.map_err(Answer::failure)?;
        if argv.first().is_some_and(|word| word == "help") {
            return Ok(Answer { ok: true, out: self.available(), run: None });
        }
        let order = Order { argv, folder, caller: None };
        self.runs.run_to_end(order).await.map(answer).map_err(|refused| self.refusal(refused))
    }

    fn available(&self) -> String {
        let names: Vec<String> = self.runs.tools().names().iter().map(ToString::to_string).collect();
        format!("available commands -> {}", names.join(", "))
    }

    fn refusal(&self, refused: Refused) -> Answer {
        Answer::failure(match refused {
            Refused::NoTool(NoTool::Unknown(_)) => format!("unknown command ({})", self.available()),
            Refused::Empty => format!("failure -> empty command line ({})", self.available()),
            other => format!("failure -> {other}"),
        })
    }
}

/// The command line as it was signed: without the blanks around it.
fn raw_line(request: &Request) -> Option<&[u8]> {
    request.headers().get("x-shell").map(|line| line.as_bytes().trim_ascii())
}

/// Takes words and files out of a request that may be answered; else says why not.
pub(crate) async fn take_order(runs: &Runs, request: Request) -> Result<(Vec<String>, Option<WorkFolder>), String> {
    let line = raw_line(&request).ok_or("failure -> X-Shell header missing")?;
    let line = std::str::from_utf8(line).map_err(|_| "failure -> X-Shell is not UTF-8")?;
    let words = words(line).map_err(|error| format!("failure -> {error}"))?;
    let folder = uploads::receive(runs, request).await.map_err(|error| error.to_string())?;
    Ok((words, folder))
}

/// Only the newline that ends the last line goes; what the host has to say about the run comes last, on a line of its own.
fn answer(outcome: Outcome) -> Answer {
    let Outcome { id, mut out, err, is_kept, ending } = outcome;
    if out.ends_with('\n') {
        out.pop();
    }
    if let Some(note) = ending.note {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&note);
    }
    if is_kept && !err.is_empty() {
        let begin = &err[..err.floor_char_boundary(LOGGED_BYTES)];
        tracing::info!(run = %id, stderr = begin.trim_end(), bytes = err.len(), "run had something to say");
    }
    Answer { ok: ending.exit_code == 0, out, run: Some(id) }
}
