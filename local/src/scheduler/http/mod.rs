//! The interface: from a request to its handler, and what all answers have in common.

mod apps;
mod deployments;
mod error;
mod gate;
mod groups;
pub(crate) mod logging;
mod packing;
mod request;
mod route;
pub(crate) mod server;
mod stream;
mod system;
mod tasks;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Router};
use bytes::{Bytes, BytesMut};
use http::header::{ALLOW, LOCATION};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;

use self::error::{Answer, ApiError};
use self::gate::Gate;
use self::request::Request;
use self::route::Route;
use self::server::Connection;
use super::deployments::run::Accepted;
use super::engine::Engine;
use super::model::id::PathId;

/// The largest body; a group with a thousand applications stays well below.
const BODY_MAX: usize = 16 << 20;

/// So much of a body that is too large is read and dropped.
const BODY_DRAINED: usize = 4 * BODY_MAX;

/// How long a body may take.
const BODY_WITHIN: Duration = Duration::from_secs(60);

const LEADER: HeaderName = HeaderName::from_static("x-marathon-leader");
const DEPLOYMENT: HeaderName = HeaderName::from_static("marathon-deployment-id");

/// Headers that every answer has.
const ALWAYS: [(HeaderName, &str); 5] = [
    (http::header::X_FRAME_OPTIONS, "DENY"),
    (http::header::X_XSS_PROTECTION, "1; mode=block"),
    (http::header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
    (http::header::PRAGMA, "no-cache"),
    (http::header::EXPIRES, "0"),
];

/// All of the interface.
pub(crate) fn router(engine: Arc<Engine>) -> Router {
    Router::new().fallback(serve).with_state(engine)
}

async fn serve(
    State(engine): State<Arc<Engine>>,
    Extension(client): Extension<Connection>,
    request: axum::extract::Request,
) -> Response {
    let takes_gzip = packing::takes_gzip(request.headers());
    let mut response = match answer(&engine, client, request).await {
        Ok(response) if takes_gzip => packing::pack(response).await,
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    for (name, value) in ALWAYS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if let Ok(leader) = HeaderValue::from_str(&format!("http://{}", engine.address)) {
        response.headers_mut().insert(LEADER, leader);
    }
    response
}

async fn answer(engine: &Arc<Engine>, client: Connection, request: axum::extract::Request) -> Answer {
    let (parts, body) = request.into_parts();
    let config = &engine.config;
    let only_local = engine.address.ip().is_loopback();
    let gate = Gate::new(config.http_credentials.clone(), only_local, config.allowed_hosts.clone());
    if let Err(refusal) = gate.check(&parts.uri, &parts.headers) {
        return Ok(*refusal);
    }
    let route = Route::parse(&parts.method, parts.uri.path()).ok_or_else(|| ApiError::not_found("URI not found"))?;
    let body = read_body(body).await?;
    let query = Request::query_of(&parts.uri);
    let head = parts.method == Method::HEAD;
    let request = Request { method: parts.method, uri: parts.uri, headers: parts.headers, client, query, body };
    if route.wants_json() {
        request.check_media()?;
    }
    let answer = dispatch(engine, &request, &route);
    if !head {
        return answer;
    }
    // A HEAD is a GET without what it would bring.
    let response = answer.unwrap_or_else(IntoResponse::into_response);
    let (parts, _) = response.into_parts();
    Ok(Response::from_parts(parts, Body::empty()))
}

/// Reads a body. One that is too large is read on for a while and dropped: a client that still writes would not see the answer.
async fn read_body(mut body: Body) -> Result<Bytes, ApiError> {
    let reading = async {
        let (mut kept, mut length) = (BytesMut::new(), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|cause| ApiError::bad_request(format!("the body does not read: {cause}")))?;
            let Ok(data) = frame.into_data() else { continue };
            length += data.len();
            if length <= BODY_MAX {
                kept.extend_from_slice(&data);
            } else if length > BODY_DRAINED {
                break;
            }
        }
        if length <= BODY_MAX { Ok(kept.freeze()) } else { Err(too_large()) }
    };
    let slow = || ApiError::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time");
    timeout(BODY_WITHIN, reading).await.unwrap_or_else(|_| Err(slow()))
}

fn too_large() -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {BODY_MAX} bytes"))
}

fn dispatch(engine: &Arc<Engine>, request: &Request, route: &Route) -> Answer {
    let method = if request.method == Method::HEAD { &Method::GET } else { &request.method };
    match (method.as_str(), route) {
        ("GET", Route::Home) => Ok(found(Redirect::to("/ui/").into_response())),
        ("GET", Route::Ping) => system::ping(request),
        ("GET", Route::Metrics) => system::metrics(engine),
        ("GET", Route::Prometheus) => system::prometheus(engine),
        ("GET", Route::Config) => system::config(engine),
        ("GET", Route::Logging) => engine.levels.list(),
        ("POST", Route::Logging) => engine.levels.set(request),
        ("GET", Route::Info) => system::info(engine),
        ("GET", Route::Leader) => system::leader(engine),
        ("DELETE", Route::Leader) => system::abdicate(),
        ("GET", Route::Plugins) => system::plugins(),
        (_, Route::PluginCall(id)) => system::no_plugin(id),
        ("GET" | "POST" | "DELETE", Route::EventSubscriptions) => system::no_callbacks(),
        ("GET", Route::Events) => stream::open(engine, request),
        // Clients find out by HEAD whether pods are supported.
        ("GET", Route::Pods) if request.method == Method::HEAD => Ok(StatusCode::NOT_FOUND.into_response()),
        ("GET", Route::Pods | Route::PodsStatus) => Ok(axum::Json(json!([])).into_response()),
        ("GET" | "PUT" | "DELETE", Route::Pod(id)) => Err(ApiError::not_found(format!("Pod '{id}' does not exist"))),
        ("POST", Route::Pods) => Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, "this engine runs applications, not Mesos pods")),

        ("GET", Route::Apps) => apps::list_all(engine, request),
        ("POST", Route::Apps) => apps::create(engine, request),
        ("PUT", Route::Apps) => apps::update_many(engine, request, true),
        ("PATCH", Route::Apps) => apps::update_many(engine, request, false),
        ("GET", Route::App(id)) => apps::read_one(engine, request, id),
        ("PUT", Route::App(id)) => apps::update_one(engine, request, id, true),
        ("PATCH", Route::App(id)) => apps::update_one(engine, request, id, false),
        ("DELETE", Route::App(id)) => apps::remove(engine, request, id),
        ("GET", Route::AppsBelow(group)) => apps::list_below(engine, request, group),
        ("POST", Route::AppRestart(id)) => apps::restart(engine, request, id),
        ("GET", Route::AppVersions(id)) => apps::versions(engine, id),
        ("GET", Route::AppVersion(id, version)) => apps::version(engine, id, version),

        ("GET", Route::AppTasks(id)) => tasks::list_of(engine, request, id),
        ("GET", Route::TasksBelow(group)) => tasks::list_below(engine, request, group),
        ("DELETE", Route::AppTasks(id)) => tasks::kill_of(engine, request, id),
        ("DELETE", Route::AppTask(id, task)) => tasks::kill_one(engine, request, id, task),
        ("GET", Route::Tasks) => tasks::list_all(engine, request),
        ("POST", Route::TasksDelete) => tasks::kill_many(engine, request),

        ("GET", Route::Deployments) => deployments::list(engine),
        ("DELETE", Route::Deployment(id)) => deployments::cancel(engine, request, id),
        ("GET", Route::Queue) => deployments::queue(engine, request),
        ("DELETE", Route::QueueDelay(id)) => deployments::reset_delay(engine, id),

        ("GET", Route::Group(id)) => groups::read(engine, request, id),
        ("POST", Route::Group(id)) => groups::create(engine, request, id),
        ("PUT", Route::Group(id)) => groups::update(engine, request, id),
        ("PATCH", Route::Group(id)) => groups::enforce_role(engine, request, id),
        ("DELETE", Route::Group(id)) => groups::remove(engine, request, id),
        ("GET", Route::GroupApps(id)) => groups::apps(engine, request, id),
        ("GET", Route::GroupVersions(id)) => groups::versions(engine, id),
        ("GET", Route::GroupVersion(id, version)) => groups::version(engine, id, version),
        ("PUT", Route::GroupVersion(id, version)) => groups::go_back(engine, request, id, version),
        ("OPTIONS", _) => Ok(([(ALLOW, "GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE")], StatusCode::OK).into_response()),
        _ => Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")),
    }
}

fn found(mut response: Response) -> Response {
    *response.status_mut() = StatusCode::FOUND;
    response
}

/// An object with one member.
fn shown(name: &str, value: &impl Serialize) -> Response {
    axum::Json(BTreeMap::from([(name, value)])).into_response()
}

/// The usual answer of what starts a deployment.
fn done(accepted: &Accepted) -> Response {
    let body = json!({ "version": accepted.version, "deploymentId": accepted.deployment });
    let mut response = axum::Json(body).into_response();
    name_deployment(&mut response, accepted);
    response
}

fn name_deployment(response: &mut Response, accepted: &Accepted) {
    if let Ok(id) = HeaderValue::from_str(&accepted.deployment) {
        response.headers_mut().insert(DEPLOYMENT, id);
    }
}

/// Says where what was created is: its path appended to the server's root.
fn created(engine: &Engine, response: &mut Response, id: &PathId, accepted: &Accepted) {
    *response.status_mut() = StatusCode::CREATED;
    name_deployment(response, accepted);
    if let Ok(place) = HeaderValue::from_str(&format!("http://{}{id}", engine.address)) {
        response.headers_mut().insert(LOCATION, place);
    }
}
