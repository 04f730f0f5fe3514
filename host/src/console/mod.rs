//! `/v1` and `/healthz`, on the portal's port: for programs and for our own command line.

mod jobs;
mod runs;
mod tools;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::json;

use crate::auth::{Auth, Denied};
use crate::portal::BODY_BYTES;
use crate::runs::Runs;
use crate::servo::jobs::Jobs;

/// The console's routes. All but `/healthz` need the new signature where the host has a token.
pub fn routes(runs: Runs, jobs: Jobs, auth: Auth) -> Router {
    let jobs = Router::new()
        .route("/v1/jobs", get(jobs::list))
        // A name in the path starts a job, an id shows one.
        .route("/v1/jobs/{id}", get(jobs::show).post(jobs::start).delete(jobs::cancel))
        .route("/v1/jobs/{id}/log", get(jobs::log))
        .with_state(jobs);
    Router::new()
        .route("/v1/host", get(host))
        .route("/v1/tools", get(tools::list))
        .route("/v1/tools/{tool}", get(tools::show).post(tools::install).delete(tools::remove))
        .route("/v1/tools/{tool}/rollback", post(tools::roll_back))
        .route("/v1/tools/{tool}/grants", put(tools::set_grants))
        .route("/v1/tools/{tool}/limits", put(tools::set_limits))
        .route("/v1/tools/{tool}/disable", post(tools::disable))
        .route("/v1/tools/{tool}/enable", post(tools::enable))
        .route("/v1/runs", post(runs::start).get(runs::list))
        .route("/v1/runs/{id}", get(runs::show).delete(runs::cancel))
        .route("/v1/runs/{id}/output", get(runs::output))
        .with_state(runs)
        .merge(jobs)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(auth, signed))
        .route("/healthz", get(|| async { "ok\n" }))
}

async fn signed(State(auth): State<Auth>, request: Request, next: Next) -> Response {
    match auth.check(request).await {
        Ok(request) => next.run(request).await,
        Err(Denied::Crowded) => problem(StatusCode::SERVICE_UNAVAILABLE, "busy", &Denied::Crowded.to_string()),
        Err(denied) => problem(StatusCode::UNAUTHORIZED, "denied", &denied.to_string()),
    }
}

/// An error for programs: a stable code and a sentence.
fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({"version": 1, "error": {"code": code, "message": message}}))).into_response()
}

/// What this host is.
async fn host() -> impl IntoResponse {
    Json(json!({"version": 1, "ochod": env!("CARGO_PKG_VERSION"), "contract": "0.1"}))
}
