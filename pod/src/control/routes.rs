//! Which path does what.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use ocho_core::masking;
use serde_json::{Map, Value};

use crate::control::answers::{bare, json};
use crate::control::body::{Held, ORDER_TIME, UPLOAD_TIME};
use crate::control::{Control, Task, exec};
use crate::face;
use crate::signing::{Line, Refusal};

/// What a caller who says nothing waits for.
const WAIT: Duration = Duration::from_secs(60);
/// Nobody waits longer, whatever they say.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// A picture of a cluster of thousands of pods fits.
const BODY_BYTES: usize = 16 << 20;
/// A signed request is held in memory as a whole, with its files.
const SIGNED_BYTES: usize = 64 << 20;

/// The API as a service.
pub(crate) fn router(control: Control) -> Router {
    // Bodies are counted where they are read.
    Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(control)
}

enum Route<'a> {
    Info,
    Log,
    Reset,
    Exec,
    Control { task: &'a str, seconds: Option<&'a str> },
    Health,
}

impl<'a> Route<'a> {
    /// A trailing slash makes another path, which nothing stands under.
    fn find(path: &'a str) -> Option<Self> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        Some(match segments[..] {
            ["info"] => Self::Info,
            ["log"] => Self::Log,
            ["reset"] => Self::Reset,
            ["exec"] => Self::Exec,
            ["healthz"] => Self::Health,
            ["control", task] if !task.is_empty() => Self::Control { task, seconds: None },
            ["control", task, seconds] if !task.is_empty() && !seconds.is_empty() => {
                Self::Control { task, seconds: Some(seconds) }
            }
            _ => return None,
        })
    }
}

async fn answer(State(control): State<Control>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let Some(route) = Route::find(&path) else { return bare(StatusCode::NOT_FOUND) };
    match (request.method(), &route) {
        (&Method::GET | &Method::HEAD, Route::Health) => return health(&control),
        (_, Route::Health) => return bare(StatusCode::METHOD_NOT_ALLOWED),
        (&Method::POST, _) => {}
        (&Method::OPTIONS, _) => return options(),
        _ => return bare(StatusCode::METHOD_NOT_ALLOWED),
    }
    // A signed body takes its room until the request is answered.
    let (request, _held) = match admit(&control, request).await {
        Ok(admitted) => admitted,
        Err(code) => return bare(code),
    };
    match route {
        Route::Info => json(StatusCode::OK, &info(&control)),
        Route::Log => json(StatusCode::OK, &face::log_json(control.log.lines())),
        Route::Reset => reset(&control),
        Route::Exec => exec::answer(&control, request).await,
        Route::Control { task, seconds } => order(&control, task, seconds, request).await,
        Route::Health => bare(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// Lets a request in. With a token the signature covers the body, which is read for that.
async fn admit(control: &Control, request: Request) -> Result<(Request, Option<Held>), StatusCode> {
    if !control.guard.asks_for_signatures() {
        return Ok((request, None));
    }
    let (head, body) = request.into_parts();
    let held = control.room.read(body, SIGNED_BYTES, UPLOAD_TIME).await?;
    let path_and_query = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let line = Line { method: head.method.as_str(), path_and_query };
    match control.guard.admit(&line, &head.headers, &held.bytes) {
        Ok(()) => Ok((Request::from_parts(head, Body::from(held.bytes.clone())), Some(held))),
        Err(Refusal::Unsigned) => Err(StatusCode::UNAUTHORIZED),
        Err(Refusal::Busy) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// Pods are known to put tokens into their metrics. Who has signed may see them.
fn info(control: &Control) -> Value {
    let mut view = control.face.view();
    if !control.publish_secrets && !control.guard.asks_for_signatures() {
        let mut metrics = Value::Object(std::mem::take(&mut view.metrics));
        masking::mask(&mut metrics);
        if let Value::Object(metrics) = metrics {
            view.metrics = metrics;
        }
    }
    Value::Object(face::info_json(&control.registration, &view))
}

/// For load balancers and people. `api` grows when a route is added.
fn health(control: &Control) -> Response {
    let members = [("ok", true.into()), ("api", 1.into()), ("process", control.face.view().process.as_str().into())];
    let body: Map<String, Value> = members.map(|(name, value): (_, Value)| (name.to_owned(), value)).into_iter().collect();
    json(StatusCode::OK, &body)
}

fn options() -> Response {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
    response
}

/// One reset that waits is as good as many.
fn reset(control: &Control) -> Response {
    let _ = control.resets.try_send(());
    bare(StatusCode::OK)
}

async fn order(control: &Control, task: &str, seconds: Option<&str>, request: Request) -> Response {
    let Ok(task) = task.parse::<Task>() else { return bare(StatusCode::BAD_REQUEST) };
    if control.face.is_dead() {
        return bare(StatusCode::GONE);
    }
    let wait = match seconds.map(str::parse::<u64>) {
        None => WAIT,
        Some(Ok(seconds)) => Duration::from_secs(seconds).min(LONGEST_WAIT),
        Some(Err(_)) => return bare(StatusCode::INTERNAL_SERVER_ERROR),
    };
    let visible = !is_form(request.headers());
    let held = match control.room.read(request.into_body(), BODY_BYTES, ORDER_TIME).await {
        Ok(held) => held,
        Err(code) => return bare(code),
    };
    let body = if visible { read(&held.bytes) } else { Value::Object(Map::new()) };
    let reply = control.orders.give(task, body, wait).await;
    json(StatusCode::from_u16(reply.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &reply.body)
}

/// The original's server takes forms apart before the pod can see their text. Clients know `curl -d` as "no body".
fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") || kind.eq_ignore_ascii_case("multipart/form-data")
}

/// What is no JSON counts as nothing.
fn read(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| Value::Object(Map::new()))
}
