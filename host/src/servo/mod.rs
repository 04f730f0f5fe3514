//! The servo: where CI systems hand over jobs.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};

/// The servo's routes.
pub fn routes() -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/run/{scripts}", post(run))
}

/// Says so plainly, rather than taking a bundle and losing it.
async fn run() -> (StatusCode, &'static str) {
    (StatusCode::NOT_IMPLEMENTED, "this host does not run jobs\n")
}
